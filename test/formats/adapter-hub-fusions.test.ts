/** @file Fusions, setups, and the text of written files in AdapterHub's format. */

import { describe, expect, it } from "vitest";

import { jsonBytes } from "../../src/formats/adapter-hub/json-text.ts";
import { readFusionFolder } from "../../src/formats/adapter-hub/read-fusion.ts";
import { parseSetup, readSetupFolder } from "../../src/formats/adapter-hub/setup.ts";
import type { SetupNode } from "../../src/formats/adapter-hub/types.ts";
import { writeAdapterFolder } from "../../src/formats/adapter-hub/write-adapter.ts";
import { writeFusionFolder, writeSetup } from "../../src/formats/adapter-hub/write.ts";
import { readSafetensors } from "../../src/formats/safetensors.ts";
import { expectError, expectRejection } from "./expect-error.ts";
import { allBits, counting, memoryFolder, tensorFile } from "./memory-folder.ts";

describe("fusions", () => {
  const tensors = new Map([
    ["layers.1.ffn.query.weight", counting([2, 2])],
    ["layers.0.attention.value.weight", counting([2, 2], 7)],
  ]);

  it.each(["bert", "distilbert", "vit", "gpt2", "t5"] as const)("of %s, there and back", async (family) => {
    const fusion = { names: ["a", "b.c"], config: { key: true }, tensors, hiddenSize: 2 };
    const read = await readFusionFolder(memoryFolder(writeFusionFolder(fusion, { family, weights: "safetensors" })));
    expect(read).toMatchObject({ names: ["a", "b.c"], name: "a,b.c", config: { key: true }, family });
    expect(allBits(read.tensors)).toEqual(allBits(tensors));
  });

  it("take their adapters from the name where there is no list", async () => {
    const files = writeFusionFolder(
      { names: ["a", "b"], config: {}, tensors, hiddenSize: 2 },
      { family: "bert", weights: "safetensors" },
    );
    const read = (fields: object): Promise<unknown> =>
      readFusionFolder(
        memoryFolder([
          ...files,
          ["adapter_fusion_config.json", { name: "a,b", model_type: "bert", config: "dynamic", ...fields }],
        ]),
      );
    expect(await read({})).toMatchObject({ names: ["a", "b"], config: { preset: "dynamic" } });
    await expectRejection(read({ adapter_names: ["a", 3] }), "BAD_CONFIG", /adapter_names/);
    await expectRejection(read({ adapter_names: ["a", "a"] }), "BAD_CONFIG", /two or more different adapters/);
    await expectRejection(read({ name: "a,c" }), "BAD_WEIGHTS", /called "a,c", but the tensors belong to "a,b"/);
  });

  it("may hold several in one file", async () => {
    const key = (names: string): string => `bert.encoder.layer.0.output.adapter_fusion_layer.${names}.key.bias`;
    const file = tensorFile({ [key("a,b")]: counting([2]), [key("a,b,c")]: counting([2], 4) });
    const config = { name: "a,b", model_type: "bert", config: {} };
    const read = await readFusionFolder(
      memoryFolder([
        ["adapter_fusion_config.json", config],
        ["model_adapter_fusion.safetensors", file],
      ]),
    );
    expect(allBits(read.tensors)).toEqual(allBits(new Map([["layers.0.ffn.key.bias", counting([2])]])));
  });
});

describe("setups", () => {
  const leaf = (name: string): SetupNode => ({ type: "single", children: [name], kwargs: {} });
  const setup = {
    type: "Stack",
    children: [leaf("a"), { type: "Average", children: [leaf("b"), leaf("c")], kwargs: { weights: [1, 0.25] } }],
    kwargs: {},
  };

  it("are read as written", async () => {
    const files = writeSetup(setup);
    expect(await readSetupFolder(memoryFolder(files))).toEqual(setup);
    // Python tells 1.0 from 1, and the library's weights are floats.
    expect(new TextDecoder().decode(files.get("adapter_setup.json"))).toMatch(/"weights": \[\s+1\.0,\s+0\.25\s+\]/);
    expect(parseSetup({ type: "single", children: ["a"] })).toEqual(leaf("a"));
  });

  it("are refused with every problem", () => {
    const bad = {
      type: "Stack",
      children: [{ type: "Heap", children: [leaf("a")] }, { type: "single", children: ["a", "b"] }, 3],
    };
    expectError(
      () => parseSetup(bad),
      "BAD_CONFIG",
      /setup\.0\.type is "Heap"; setup\.1\.children of a leaf is not one name; setup\.2 is not/,
    );
    expectError(() => parseSetup({ ...leaf("a"), kwargs: { weights: ["x"] } }), "BAD_CONFIG", /kwargs\.weights/);
    expectError(() => parseSetup({ ...leaf("a"), colour: 1 }), "BAD_CONFIG", /setup\.colour/);
    let deep: unknown = leaf("a");
    for (let level = 0; level < 30; level++) deep = { type: "Stack", children: [deep] };
    expectError(() => parseSetup(deep), "BAD_CONFIG", /nested too deep/);
  });
});

describe("JSON as Python writes it", () => {
  it("sorts keys, keeps floats floats and escapes what is not ASCII", () => {
    const text = new TextDecoder().decode(jsonBytes({ b: [], a: { scaling: 2, r: 2, x: "ä\u007f😀" }, c: {} }));
    expect(text).toBe(
      '{\n  "a": {\n    "r": 2,\n    "scaling": 2.0,\n    "x": "\\u00e4\\u007f\\ud83d\\ude00"\n  },\n  "b": [],\n  "c": {}\n}',
    );
  });
});

describe("written safetensors", () => {
  it("carry the base model's prefix", () => {
    const tensors = new Map([["layers.0.ffn.adapter_up.bias", counting([2])]]);
    const files = writeAdapterFolder(
      { format: "hub", config: {}, tensors, hiddenSize: 2 },
      { family: "t5", name: "n", weights: "safetensors" },
    );
    const { tensors: written } = readSafetensors(files.get("adapter.safetensors") ?? new Uint8Array(), "written");
    expect([...written.keys()]).toEqual(["transformer.encoder.block.0.layer.1.adapters.n.adapter_up.bias"]);
  });
});
