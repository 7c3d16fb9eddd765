/** @file Bad adapters, heads, fusions and their files: one error each, the model unchanged and running, bytes returned. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Folder } from "../../src/formats/folder.ts";
import { writeHeadFolder, writeHubAdapter } from "../../src/formats/adapter-hub/write.ts";
import type { PlainTensor } from "../../src/formats/adapter-hub/types.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Model } from "../../src/model/model.ts";
import { memoryFolder } from "../formats/memory-folder.ts";
import { floatStorage, tensor, writeTorchZip } from "../formats/torch-writer.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { lively } from "./lively.ts";
import { headConfig, pfeiffer, readyModel, refused, remove } from "./watched.ts";
import type { Watched } from "./watched.ts";

let gpu: Gpu;
let tiny: TinyModel;
let watched: Watched;
let model: Model;

beforeAll(async () => {
  gpu = await sharedGpu();
  tiny = tinyModel("bert");
  watched = await readyModel(gpu, tiny);
  ({ model } = watched);
});
afterAll(async () => model.dispose());

/** The folder that the library would have written for a host. */
function folderFor(
  made: Readonly<{ config?: Record<string, unknown>; layers?: number; width?: number; family?: "bert" | "gpt2" }>,
  change: (config: Record<string, unknown>) => void = () => undefined,
): Folder {
  const { config = pfeiffer, layers = 2, width = 32, family = "bert" } = made;
  const host = { ...tiny.host.shape, layers, width, headWidth: width / 4 };
  const tensors = new Map(Object.entries(lively(host, config, 1).tensors)) as Map<string, PlainTensor>;
  const files = writeHubAdapter({ config, tensors, hiddenSize: width }, { family, name: "x", weights: "safetensors" });
  const text = new TextDecoder().decode(files.get("adapter_config.json"));
  const envelope = JSON.parse(text) as Record<string, unknown>;
  change(envelope);
  return memoryFolder([...files, ["adapter_config.json", envelope]]);
}

describe("adapters made for another host", () => {
  test("of another width are refused with the full list", async () => {
    const error = await refused(watched, ["BAD_WEIGHTS", /^x$/, /made for 64, the host has 32/], () =>
      model.addAdapter("x", folderFor({ width: 64 })),
    );
    // Two matrices and a bias per layer have an axis of the width.
    expect(error.message.match(/wrong shape: /g)).toHaveLength(6);
  });

  test("of another layer count, family or version", async () => {
    await refused(watched, ["BAD_WEIGHTS", /^x$/, /it names layer 4, the host has 2/], () =>
      model.addAdapter("x", folderFor({ layers: 5 })),
    );
    await refused(watched, ["BAD_WEIGHTS", /adapter x/, /missing: layers\.1\.ffn\.adapter_down/], () =>
      model.addAdapter("x", folderFor({ layers: 1 })),
    );
    await refused(watched, ["BAD_WEIGHTS", /^x$/, /family: made for gpt2, the host is bert/], () =>
      model.addAdapter("x", folderFor({ family: "gpt2" })),
    );
    await refused(watched, ["BAD_WEIGHTS", /^x$/, /version: written by adapters\.2\.0\.0/], () =>
      model.addAdapter(
        "x",
        folderFor({}, (envelope) => (envelope.version = "adapters.2.0.0")),
      ),
    );
    const fits = await model.addAdapter("x", folderFor({}));
    expect(fits.summary).toMatch(
      /^adapter x: 8 tensors matched, 0 missing, 0 unexpected, \d+ bytes on disk, \d+ bytes on the GPU, 2 sites$/,
    );
    await remove(watched, "x");
  });

  test("with tensors that are missing, left over, wrongly shaped or not finite: all in one list", async () => {
    const { config, tensors } = lively(tiny.host.shape, pfeiffer, 1) as {
      config: typeof pfeiffer;
      tensors: Record<string, PlainTensor>;
    };
    const { "layers.0.ffn.adapter_down.0.bias": _, ...rest } = tensors;
    const nan = new Float32Array(32).fill(NaN);
    const wrong = {
      "layers.1.ffn.adapter_up.bias": { shape: [32], data: nan },
      "layers.9.extra": { shape: [1], data: new Float32Array(1) },
    };
    const add = (): Promise<unknown> => model.addAdapter("x", { config, tensors: { ...rest, ...wrong } });
    await refused(
      watched,
      ["BAD_WEIGHTS", /adapter x/, /3 problems[^]*missing: layers\.0\.ffn\.adapter_down\.0\.bias \[8\]/],
      add,
    );
    await refused(
      watched,
      ["BAD_WEIGHTS", /adapter x/, /not finite: layers\.1\.ffn\.adapter_up\.bias[^]*unexpected: layers\.9\.extra/],
      add,
    );
  });
});

describe("configurations", () => {
  test.each<[string, string, RegExp, RegExp, Record<string, unknown> | string]>([
    [
      "sites in cross-attention",
      "UNSUPPORTED",
      /^cross_adapter$/,
      /cross_adapter/,
      { ...pfeiffer, cross_adapter: true },
    ],
    ["layers that the host lacks", "BAD_CONFIG", /^leave_out$/, /leave_out/, { ...pfeiffer, leave_out: [0, 7] }],
    [
      "a factor for a layer that the host lacks",
      "BAD_CONFIG",
      /^reduction_factor$/,
      /layers 5/,
      { ...pfeiffer, reduction_factor: { 5: 2, default: 4 } },
    ],
    ["no site at all", "BAD_CONFIG", /mh_adapter/, /both false/, { ...pfeiffer, output_adapter: false }],
    ["an unknown field", "BAD_CONFIG", /^depth$/, /depth is set but not known/, { ...pfeiffer, depth: 3 }],
    [
      "a factor of 0",
      "BAD_CONFIG",
      /^reduction_factor$/,
      /reduction_factor is 0/,
      { ...pfeiffer, reduction_factor: 0 },
    ],
    ["an unknown preset", "UNKNOWN_NAME", /^nonsense$/, /neither a preset nor a folder/, "nonsense"],
    ["a method that is left out", "UNSUPPORTED", /architecture/, /reft is out of scope/, { architecture: "reft" }],
    [
      "two methods at one site",
      "BAD_CONFIG",
      /configs\.0 and configs\.1/,
      /both own/,
      { architecture: "union", configs: [pfeiffer, pfeiffer] },
    ],
  ])("with %s", async (_, code, where, pattern, config) => {
    const given = typeof config === "string" ? config : { config };
    await refused(watched, [code, where, pattern], () => model.addAdapter("x", given));
  });
});

describe("heads and fusions", () => {
  test("with another label count, width or kind", async () => {
    const weight = { shape: [2, 32], data: new Float32Array(64) };
    const bias = { shape: [2], data: new Float32Array(2) };
    await refused(watched, ["BAD_WEIGHTS", /^h$/, /1\.weight is \[2, 32\], expected \[3, 32\]/], () =>
      model.addHead("h", { config: headConfig, tensors: { "1.weight": weight, "1.bias": bias } }),
    );
    await refused(watched, ["UNSUPPORTED", /^head_type$/, /dependency_parsing is not supported/], () =>
      model.addHead("h", { config: { head_type: "dependency_parsing" } }),
    );
    const folder = memoryFolder(
      writeHeadFolder(
        {
          config: headConfig,
          tensors: new Map([["1.weight", { shape: [3, 64], data: new Float32Array(192) }]]),
          hiddenSize: 64,
        },
        { family: "bert", name: "h", weights: "safetensors" },
      ),
    );
    await refused(watched, ["BAD_CONFIG", /^hidden_size$/, /made for the width 64, the host has 32/], () =>
      model.addHead("h", folder),
    );
  });

  test("a head beside an adapter that does not fit refuses both, and leaves no table behind", async () => {
    const lora = { architecture: "lora" };
    const adapter = folderFor({ config: lora });
    const labels = {
      config: headConfig,
      hiddenSize: 32,
      tensors: new Map([["1.weight", { shape: [2, 32], data: new Float32Array(64) }]]),
    };
    const head = writeHeadFolder(labels, { family: "bert", name: "x", weights: "safetensors" });
    const names = await adapter.list();
    const files = await Promise.all(names.map(async (name) => [name, await adapter.read(name)] as const));
    await refused(watched, ["BAD_WEIGHTS", /^x$/, /expected \[3, 32\]/], () =>
      model.addAdapter("x", memoryFolder([...files, ...head])),
    );
  });

  test("fusions of another width, of one adapter twice, of none, of adapters that cannot be fused", async () => {
    const weight = { shape: [16, 16], data: new Float32Array(256) };
    await model.addAdapter("c", lively(tiny.host.shape, pfeiffer, 3));
    await refused(
      watched,
      ["BAD_WEIGHTS", /^a,c$/, /layers\.0\.ffn\.query\.weight is \[16, 16\], expected \[32, 32\]/],
      () => model.addFusion(["a", "c"], { config: "dynamic", tensors: { "layers.0.ffn.query.weight": weight } }),
    );
    await remove(watched, "c");
    await refused(watched, ["BAD_CONFIG", /addFusion/, /different adapters/], () =>
      model.addFusion(["a", "a"], "dynamic"),
    );
    await refused(watched, ["BAD_CONFIG", /addFusion/, /different adapters/], () => model.addFusion([], "dynamic"));
    await refused(watched, ["UNKNOWN_NAME", /nonsense/, /neither a preset nor a folder/], () =>
      model.addFusion(["b", "a"], "nonsense"),
    );
  });
});

describe("files", () => {
  const config = {
    config: pfeiffer,
    hidden_size: 32,
    model_type: "bert",
    name: "x",
    version: "adapters.1.2.0",
  };
  const place = (bin: Uint8Array): Folder =>
    memoryFolder([
      ["adapter_config.json", config],
      ["pytorch_adapter.bin", bin],
    ]);

  test("torch files with forbidden globals, truncated ones and folders without a configuration", async () => {
    const storage = floatStorage("0", [1, 2]);
    const evil = writeTorchZip(
      {
        dict: [
          ["x", { call: "os.system", args: ["true"] }],
          ["y", tensor(storage, [2], [1])],
        ],
      },
      [storage],
    );
    await refused(watched, ["BAD_FILE", /pytorch_adapter\.bin/, /os\.system/], () =>
      model.addAdapter("x", place(evil)),
    );
    await refused(watched, ["BAD_FILE", /pytorch_adapter\.bin/, /./], () =>
      model.addAdapter("x", place(evil.slice(0, 40))),
    );
    await refused(watched, ["NOT_FOUND", /./, /adapter_config\.json/], () =>
      model.addAdapter("x", memoryFolder([["other.json", {}]])),
    );
    await refused(watched, ["NOT_FOUND", /./, /./], () =>
      model.addAdapter("x", memoryFolder([["adapter_config.json", config]])),
    );
    await refused(watched, ["BAD_FILE", /adapter_config\.json/, /./], () =>
      model.addAdapter("x", memoryFolder([["adapter_config.json", "{"]])),
    );
  });
});
