/** @file Saving: what the real library wrote is loaded, saved and compared; everything reads back bit for bit. */

import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compositionFromJson } from "../../src/adapters/composition-json.ts";
import { parseSetup } from "../../src/formats/adapter-hub/setup.ts";
import type { PlainTensor } from "../../src/formats/adapter-hub/types.ts";
import { readTensorFile } from "../../src/formats/checkpoint.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import { roundF16 } from "../../src/half.ts";
import {
  adapterFiles,
  average,
  fuse,
  fusionFiles,
  headFiles,
  loadModel,
  pruneFusion,
  forceFusion,
  saveAdapter,
  saveFusion,
  saveHead,
  saveSetup,
  setupFiles,
  stack,
} from "../../src/node.ts";
import type { Model } from "../../src/node.ts";
import { normal } from "../../src/random.ts";
import { dataPath, missing } from "../data.ts";
import { allBits, memoryFolder, tensorFile } from "../formats/memory-folder.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";

const golden = dataPath("adapters-golden");

function foldersOf(family: string, kinds: readonly string[]): string[] {
  if (missing("adapters-golden")) return [];
  return readdirSync(join(golden, family, "cases")).flatMap((name) =>
    kinds.flatMap((kind) => {
      const parent = join(family, "cases", name, kind);
      return existsSync(join(golden, parent)) ? readdirSync(join(golden, parent)).map((one) => join(parent, one)) : [];
    }),
  );
}

/** A weights file as it is, without the copies of prefixes that torch saves per layer. */
function rawBits(bytes: Uint8Array, file: string): Record<string, unknown> {
  const tensors = new Map<string, PlainTensor>();
  for (const [key, stored] of readTensorFile(bytes, file).tensors) {
    if (!key.includes(".prefix_tuning.pool.")) tensors.set(key, { shape: stored.shape, data: toFloat32(stored) });
  }
  return allBits(tensors);
}

/** Compares a configuration and weights with those of a folder; either form of the file will do. */
function expectSame(files: ReadonlyMap<string, Uint8Array>, folder: string, config: string, weights: RegExp): void {
  expect(Buffer.from(files.get(config) ?? []).toString()).toBe(readFileSync(join(folder, config), "utf8"));
  const original = readdirSync(folder).find((name) => weights.test(name)) as string;
  const [written, bytes] = [...files].find(([name]) => weights.test(name)) as [string, Uint8Array];
  expect(rawBits(bytes, written)).toEqual(rawBits(readFileSync(join(folder, original)), original));
}

const ADAPTER = /^(adapter\.safetensors|pytorch_adapter\.bin)$/;
const HEAD = /^(model_head\.safetensors|pytorch_model_head\.bin)$/;
const FUSION = /^(model_adapter_fusion\.safetensors|pytorch_model_adapter_fusion\.bin)$/;

for (const family of ["bert", "gpt2"]) {
  describe.skipIf(missing("adapters-golden"))(`what the library saved for ${family}`, () => {
    let model: Model;
    beforeAll(async () => {
      model = await loadModel(await sharedGpu(), join(golden, family, "base"));
    });
    afterAll(() => model.dispose());

    test.each(foldersOf(family, ["adapters", "adapters_safetensors"]))("%s", async (path) => {
      const folder = join(golden, path);
      const name = path.slice(path.lastIndexOf("/") + 1);
      await model.addAdapter(name, folder);
      try {
        for (const weights of ["torch", "safetensors"] as const) {
          expectSame(adapterFiles(model, name, { weights }), folder, "adapter_config.json", ADAPTER);
          if (existsSync(join(folder, "head_config.json")))
            expectSame(headFiles(model, name, { weights }), folder, "head_config.json", HEAD);
        }
      } finally {
        model.removeAdapter(name);
      }
    });

    test.each(foldersOf(family, ["fusions", "fusions_safetensors"]))("%s", async (path) => {
      const folder = join(golden, path);
      const names = path.slice(path.lastIndexOf("/") + 1).split("+");
      const own = await loadModel(await sharedGpu(), join(golden, family, "base"));
      try {
        const kind = path.includes("fusions_safetensors") ? "adapters_safetensors" : "adapters";
        for (const name of names) await own.addAdapter(name, join(folder, "..", "..", kind, name));
        await own.addFusion(names, folder);
        for (const weights of ["torch", "safetensors"] as const)
          expectSame(fusionFiles(own, names.join(","), { weights }), folder, "adapter_fusion_config.json", FUSION);
      } finally {
        await own.dispose();
      }
    });
  });
}

/** A bottleneck whose up-projection is not zero. */
const fresh = { mh_adapter: false, output_adapter: true, reduction_factor: 4, non_linearity: "relu" };

describe("saving", () => {
  const tiny = tinyModel("bert");
  const ids = [[3, 7, 11, 2]];
  let model: Model;
  let disk: string;

  const lora = (seed: number): { data: Float32Array; shape: number[] } => ({
    data: normal(seed, 64, 0.3),
    shape: [2, 32],
  });
  /** A PEFT adapter as its reader gives it: LoRA of rank 2 on queries. */
  const peftFolder = (): ReturnType<typeof memoryFolder> => {
    const tensors = Object.fromEntries(
      [0, 1].flatMap((layer) => {
        const key = `base_model.model.bert.encoder.layer.${layer}.attention.self.query`;
        return [
          [`${key}.lora_A.weight`, lora(layer)],
          [`${key}.lora_B.weight`, { data: normal(9 + layer, 64, 0.3), shape: [32, 2] }],
        ];
      }),
    );
    const config = { peft_type: "LORA", r: 2, lora_alpha: 6, target_modules: ["query"], bias: "none" };
    return memoryFolder([
      ["adapter_config.json", config],
      ["adapter_model.safetensors", tensorFile(tensors)],
    ]);
  };

  beforeAll(async () => {
    model = await loadModel(await sharedGpu(), tiny.folder);
    disk = mkdtempSync(join(tmpdir(), "adapters-"));
    await model.addAdapter("a", { config: { ...fresh, init_weights_seed: 1 } });
    await model.addAdapter("b", { config: { ...fresh, init_weights_seed: 2 } });
    await model.addAdapter("c", { config: { ...fresh, init_weights_seed: 3 } });
    await model.addFusion(["a", "b", "c"], "dynamic");
    await model.addAdapter("p", peftFolder());
  });
  afterAll(async () => {
    await model.dispose();
    rmSync(disk, { recursive: true });
  });

  const hidden = async (of: Model): Promise<Float32Array> => (await of.run({ ids })).hidden?.data as Float32Array;

  test.each(["safetensors", "torch"] as const)(
    "a preset goes to disk and back with the same bits, as %s",
    async (weights) => {
      const folder = join(disk, "preset");
      await model.addAdapter("mam", "mam");
      await saveAdapter(model, "mam", folder, { weights });
      const other = await loadModel(await sharedGpu(), tiny.folder);
      try {
        await other.addAdapter("mam", folder);
        expect(allBits(other.contents.adapter("mam").tensors)).toEqual(allBits(model.contents.adapter("mam").tensors));
        expect(other.contents.adapter("mam").config).toEqual(model.contents.adapter("mam").config);
        model.setActive("mam");
        other.setActive("mam");
        expect(await hidden(other)).toEqual(await hidden(model));
      } finally {
        model.removeAdapter("mam");
        await other.dispose();
      }
      // The second form has taken the place of the first.
      expect(readdirSync(folder).filter((name) => ADAPTER.test(name))).toHaveLength(1);
      expect(readdirSync(folder)).toHaveLength(2);
    },
  );

  test("a PEFT adapter stays one", async () => {
    const files = adapterFiles(model, "p");
    expect([...files.keys()]).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    expect(() => adapterFiles(model, "p", { format: "hub" })).toThrowError(/defined in the terms of PEFT/);
    expect(() => adapterFiles(model, "a", { format: "peft" })).toThrowError(/defined in the terms of AdapterHub/);
    await model.addAdapter("q", memoryFolder(files));
    expect(allBits(model.contents.adapter("q").tensors)).toEqual(allBits(model.contents.adapter("p").tensors));
    expect(model.contents.adapter("q").peft).toEqual(model.contents.adapter("p").peft);
    model.removeAdapter("q");
  });

  test.each(["safetensors", "torch"] as const)("f16 rounds matrices and nothing else, as %s", async (weights) => {
    const rounded = (tensors: ReadonlyMap<string, PlainTensor>): unknown =>
      allBits(
        new Map(
          [...tensors].map(([name, { shape, data }]) => [
            name,
            { shape, data: shape.length > 1 ? roundF16(data) : data },
          ]),
        ),
      );
    const half = { weights, precision: "f16" } as const;
    await model.addHead("h", { config: { head_type: "classification", num_labels: 3 }, seed: 5 });
    for (const name of ["a", "p"]) {
      await model.addAdapter("half", memoryFolder(adapterFiles(model, name, half)));
      const { tensors } = model.contents.adapter(name);
      expect(allBits(model.contents.adapter("half").tensors)).toEqual(rounded(tensors));
      expect(allBits(tensors)).not.toEqual(rounded(tensors));
      model.removeAdapter("half");
    }
    await model.addHead("half", memoryFolder(headFiles(model, "h", half)));
    expect(allBits(model.contents.head("half").tensors)).toEqual(rounded(model.contents.head("h").tensors));
    model.removeHead("h");
    model.removeHead("half");
    expect(() => adapterFiles(model, "a", { precision: "f8" as "f16" })).toThrow('precision is "f8"');
  });

  test.each([
    { head_type: "classification", num_labels: 3 },
    { head_type: "classification", num_labels: 1, layers: 1, bias: false },
    { head_type: "multilabel_classification", num_labels: 4, layers: 3, activation_function: "relu" },
    { head_type: "multiple_choice", num_choices: 4 },
    { head_type: "tagging", num_labels: 5, bias: false },
    { head_type: "image_classification", num_labels: 2, multilabel: true },
  ])("a head: $head_type of $num_labels", async (config) => {
    await model.addHead("h", { config, seed: 5 });
    await saveHead(model, "h", join(disk, "head"));
    await model.addHead("again", join(disk, "head"));
    expect(model.contents.head("again").config).toEqual(model.contents.head("h").config);
    expect(allBits(model.contents.head("again").tensors)).toEqual(allBits(model.contents.head("h").tensors));
    model.removeHead("h");
    model.removeHead("again");
  });

  test("a head of multiple choice has no num_labels, which the library would take for its outputs", async () => {
    await model.addHead("h", { head_type: "multiple_choice", num_choices: 2 });
    const text = Buffer.from(headFiles(model, "h").get("head_config.json") ?? []).toString();
    expect(JSON.parse(text)).toMatchObject({ config: { head_type: "multiple_choice", num_choices: 2 } });
    expect(text).not.toContain("num_labels");
    model.removeHead("h");
  });

  test("a fusion, whole and pruned; what a file cannot say is refused by name", async () => {
    await saveFusion(model, "a,b,c", join(disk, "fusion"));
    const other = await loadModel(await sharedGpu(), tiny.folder);
    for (const name of ["a", "b", "c"]) await other.addAdapter(name, memoryFolder(adapterFiles(model, name)));
    await other.addFusion(["a", "b", "c"], join(disk, "fusion"));
    expect(allBits(other.contents.fusion("a,b,c").tensors)).toEqual(allBits(model.contents.fusion("a,b,c").tensors));
    await pruneFusion(model, "a,b,c", { remove: ["b"] });
    await saveFusion(model, "a,b,c", join(disk, "rest"));
    await other.addFusion(["a", "c"], join(disk, "rest"));
    model.setActive(fuse("a", "b", "c"));
    other.setActive(fuse("a", "c"));
    expect(await hidden(other)).toEqual(await hidden(model));
    await other.dispose();
    await pruneFusion(model, "a,b,c", { places: [{ layer: 0, remove: ["b"] }] });
    expect(() => fusionFiles(model, "a,b,c")).toThrowError(/a,b,c: adapters pruned that differ from layer to layer/);
    await pruneFusion(model, "a,b,c", { remove: ["a", "b"] });
    expect(() => fusionFiles(model, "a,b,c")).toThrowError(/a single adapter left/);
    await pruneFusion(model, "a,b,c", null);
    await forceFusion(model, "a,b,c", ["c"]);
    expect(() => fusionFiles(model, "a,b,c")).toThrowError(/weights of c forced to 0/);
    await forceFusion(model, "a,b,c", null);
    expect(fusionFiles(model, "a,b,c").size).toBe(2);
  });

  test("the setup of the active composition reads back as the same", async () => {
    const read = (): unknown => JSON.parse(readFileSync(join(disk, "setup", "adapter_setup.json"), "utf8"));
    for (const composition of [stack("a", fuse("a", "b", "c")), average("a", "b", { weights: [1, 3] })]) {
      model.setActive(composition);
      await saveSetup(model, join(disk, "setup"));
      expect(compositionFromJson(parseSetup(read()))).toEqual(composition);
      model.setActive("a");
      await model.loadSetup(join(disk, "setup"));
      expect(model.active).toEqual(composition);
    }
    await expect(model.loadSetup(join(disk, "nowhere"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    // A bare name becomes the stack that the library wants at the root.
    model.setActive("a");
    await saveSetup(model, join(disk, "setup"));
    expect(compositionFromJson(parseSetup(read()))).toEqual(stack("a"));
    model.setActive(null);
    expect(() => setupFiles(model)).toThrowError(/no active composition/);
  });

  test("names that are not here, and places that cannot be written", async () => {
    expect(() => adapterFiles(model, "x")).toThrowError(/no adapter x/);
    expect(() => headFiles(model, "x")).toThrowError(/no head x/);
    expect(() => fusionFiles(model, "x")).toThrowError(/no fusion weights for x/);
    expect(() => adapterFiles(model, "a", { weights: "pickle" as "torch" })).toThrowError(/weights is "pickle"/);
    await saveAdapter(model, "a", join(disk, "taken"));
    const file = join(disk, "taken", "adapter_config.json");
    await expect(saveAdapter(model, "a", file)).rejects.toThrowError(/cannot be written/);
    expect(readdirSync(join(disk, "taken"))).toHaveLength(2);
  });
});

describe.skipIf(missing("adapters-golden"))("an ejected prefix", () => {
  test("runs the same bits and is saved flat", async () => {
    const base = join(golden, "bert", "base");
    const model = await loadModel(await sharedGpu(), base);
    const ids = [[2, 17, 45, 3, 88]];
    try {
      await model.addAdapter("a", join(golden, "bert", "cases", "prefix_mlp", "adapters", "a"));
      model.setActive("a");
      const before = (await model.run({ ids })).hidden?.data as Float32Array;
      const long = adapterFiles(model, "a").get("adapter.safetensors") as Uint8Array;
      await model.ejectPrefix("a");
      expect((await model.run({ ids })).hidden?.data).toEqual(before);
      const files = adapterFiles(model, "a");
      expect([...readTensorFile(files.get("adapter.safetensors") as Uint8Array, "a").tensors.keys()]).toEqual([
        "bert.prefix_tuning.prefix_tunings.a.self_prefix.control_trans",
      ]);
      expect((files.get("adapter.safetensors") as Uint8Array).length).toBeLessThan(long.length);
      await model.addAdapter("flat", memoryFolder(files));
      model.setActive("flat");
      expect((await model.run({ ids })).hidden?.data).toEqual(before);
      await expect(model.ejectPrefix("a")).rejects.toMatchObject({ code: "UNSUPPORTED" });
    } finally {
      await model.dispose();
    }
  });
});
