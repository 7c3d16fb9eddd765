/** @file Deployed tasks: adapters, layer norms and heads swapped together, bit for bit and without anything made on the GPU. */

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { readTensorFile } from "../../src/formats/checkpoint.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { batchSplit, coda, loadModel, parallel, saveTask, stack, taskFiles } from "../../src/node.ts";
import type { Model, RunOptions } from "../../src/node.ts";
import { normal } from "../../src/random.ts";
import { dataPath, missing } from "../data.ts";
import { allBits, memoryFolder, tensorFile } from "../formats/memory-folder.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { checkpointBytes, memoryFolder as checkpointFolder, tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { randomAdapter } from "./random-adapter.ts";

type Tensors = Record<string, { shape: readonly number[]; data: Float32Array }>;

const ids = [
  [3, 7, 11, 2],
  [5, 6],
];

/** Other values for some norms of a host: those at places that `chosen` accepts. */
function otherNorms(
  tensors: TinyModel["tensors"],
  seed: number,
  chosen: (name: string, at: number) => boolean,
): Tensors {
  const names = Object.keys(tensors).filter((name) => /(LayerNorm|ln_\w+)\.(weight|bias)$/.test(name));
  return Object.fromEntries(
    names.filter(chosen).map((name, at) => {
      const { shape } = tensors[name] as { shape: readonly number[] };
      return [name, { shape, data: normal(seed + at, shape[0] as number, 0.3, name.endsWith("weight") ? 1 : 0) }];
    }),
  );
}

/** The same host with other norms in its checkpoint. */
function withNorms({ config, tensors }: TinyModel, norms: Tensors): ReturnType<typeof checkpointFolder> {
  return checkpointFolder({
    "config.json": JSON.stringify(config),
    "model.safetensors": checkpointBytes({ ...tensors, ...norms }),
  });
}

interface Outcome {
  readonly hidden: Float32Array;
  readonly heads: Readonly<Record<string, Float32Array>>;
}

async function outcome(model: Model, options: RunOptions = {}): Promise<Outcome> {
  const { hidden, heads } = await model.run({ ids }, options);
  const data = Object.entries(heads).map(([name, logits]) => [name, logits.data] as const);
  return { hidden: hidden?.data as Float32Array, heads: Object.fromEntries(data) };
}

let gpu: Gpu;
beforeAll(async () => {
  gpu = await sharedGpu();
});

describe.each(["bert", "gpt2", "albert"])("on %s", (family) => {
  const tiny = tinyModel(family);
  const parts = {
    A: {
      adapter: randomAdapter(tiny.host.shape, 1),
      norms: otherNorms(tiny.tensors, 100, () => true),
      head: { config: { head_type: "classification", num_labels: 3 }, seed: 1 },
    },
    B: {
      adapter: randomAdapter(tiny.host.shape, 2),
      norms: otherNorms(tiny.tensors, 200, (_, at) => at % 3 === 0),
      head: { config: { head_type: "multilabel_classification", num_labels: 5, layers: 1 }, seed: 2 },
    },
    C: { adapter: randomAdapter(tiny.host.shape, 3), head: { config: { head_type: "classification", num_labels: 1 } } },
  };
  const expected: Record<string, Outcome> = {};
  let model: Model;

  beforeAll(async () => {
    // Each task by itself, on a host whose checkpoint holds its norms.
    for (const [name, part] of Object.entries(parts)) {
      const { adapter, norms = {}, head } = { norms: undefined, ...part };
      const alone = await loadModel(gpu, withNorms(tiny, norms));
      await alone.addAdapter(name, adapter);
      await alone.addHead(name, head);
      alone.setActive(name);
      expected[name] = await outcome(alone);
      await alone.dispose();
    }
    const bare = await loadModel(gpu, tiny.folder);
    expected.none = await outcome(bare);
    await bare.dispose();
    model = await loadModel(gpu, tiny.folder);
    for (const [name, part] of Object.entries(parts)) await model.deploy(name, part);
  });
  afterAll(() => model.dispose());

  const active = async (name: string | null): Promise<Outcome> => {
    model.setActive(name);
    return outcome(model);
  };

  test("tasks differ, and have heads of different sizes", () => {
    expect(model.tasks).toEqual(["A", "B", "C"]);
    expect(
      Object.values(expected).map(({ heads }) => Object.entries(heads).map(([name, { length }]) => [name, length / 2])),
    ).toEqual([[["A", 3]], [["B", 5]], [["C", 1]], []]);
    expect(new Set(Object.values(expected).map(({ hidden }) => hidden.join())).size).toBe(4);
  });

  test("a swap gives the bits of a model that was loaded with those norms", async () => {
    for (const name of ["A", "B", "A", null, "C", "A", "C", "B", null])
      expect(await active(name), String(name)).toEqual(expected[name ?? "none"]);
  });

  test("a warm swap makes no pipeline, no bind group and no buffer", async () => {
    // Twice: a plan that comes later may move the arena, and those before it bind it anew.
    for (const name of ["A", "B", "C", null, "A", "B", "C", null]) await active(name);
    const before = { ...gpu.counters, ...gpu.memory };
    for (const name of ["B", null, "A", "C", "B", "A"]) await active(name);
    const after = { ...gpu.counters, ...gpu.memory };
    for (const count of ["pipelines", "bindGroups", "buffers", "bytes"] as const)
      expect(after[count], count).toBe(before[count]);
  });

  test("a run has the norms that were active when it was called", async () => {
    model.setActive("A");
    const first = outcome(model);
    model.setActive("B");
    const second = outcome(model);
    model.setActive(null);
    const third = outcome(model);
    expect(await Promise.all([first, second, third])).toEqual([expected.A, expected.B, expected.none]);
  });

  test("names given per sequence bring their norms", async () => {
    model.setActive(null);
    const { hidden } = await outcome(model, { adapters: ["A", "A"] });
    expect(hidden).toEqual(expected.A?.hidden);
    expect((await outcome(model)).hidden).toEqual(expected.none?.hidden);
  });

  test("different norms in one batch are refused by name, and the model still runs", async () => {
    model.setActive(null);
    const refused = async (act: () => Promise<unknown>, pattern: RegExp): Promise<void> => {
      const error = await act().catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(EngineError);
      expect((error as EngineError).code).toBe("UNSUPPORTED");
      expect((error as EngineError).message).toMatch(pattern);
    };
    await refused(() => outcome(model, { adapters: ["A", "B"] }), /tasks A and B have different layer norms/);
    await refused(() => outcome(model, { adapters: [null, "A"] }), /task A has layer norms of its own, the bare model/);
    await refused(
      () => outcome(model, { adapters: ["A", "C"] }),
      /task A has layer norms of its own, C has the host's/,
    );
    const activate = (composition: Parameters<Model["setActive"]>[0]) => async (): Promise<void> =>
      model.setActive(composition);
    await refused(activate(parallel("A", "B")), /tasks A and B/);
    await refused(activate(stack("A", "B")), /tasks A and B/);
    await refused(activate(batchSplit("A", null, { batchSizes: 1 })), /task A has layer norms of its own/);
    expect(model.active).toBe(null);
    expect(await outcome(model)).toEqual(expected.none);
    // Adapters on the same rows share the norms of the one that brings some.
    model.setActive(stack("C", "A"));
    expect((await outcome(model)).hidden).not.toEqual(expected.A?.hidden);
    expect(await active("B")).toEqual(expected.B);
  });
});

describe("a task", () => {
  const tiny = tinyModel("bert");
  const adapter = randomAdapter(tiny.host.shape, 1);
  const all = otherNorms(tiny.tensors, 100, () => true);
  const head = { config: { head_type: "classification", num_labels: 3 }, seed: 1 };
  let model: Model;
  let disk: string;
  beforeAll(async () => {
    model = await loadModel(gpu, tiny.folder);
    disk = mkdtempSync(join(tmpdir(), "tasks-"));
  });
  afterEach(() => {
    for (const name of model.tasks) model.removeTask(name);
    for (const name of model.adapters) model.removeAdapter(name);
  });
  afterAll(async () => {
    await model.dispose();
    rmSync(disk, { recursive: true });
  });
  const active = async (name: string | null): Promise<Outcome> => {
    model.setActive(name);
    return outcome(model);
  };

  test("reports what was found", async () => {
    const report = await model.deploy("t", { adapter, norms: all, head });
    expect(report).toMatchObject({ name: "t", norms: 10, head: "classification" });
    expect(await model.deploy("u", { adapter })).toMatchObject({ norms: 0, head: null });
  });

  test("has norms with or without the prefix of the base model; those of the host itself are none", async () => {
    await model.deploy("plain", { adapter, norms: all });
    const prefixed = Object.fromEntries(Object.entries(all).map(([name, tensor]) => [`bert.${name}`, tensor]));
    await model.deploy("prefixed", { adapter, norms: prefixed });
    expect((await active("prefixed")).hidden).toEqual((await active("plain")).hidden);
    // Equal norms may share a batch.
    model.setActive(null);
    await model.run({ ids }, { adapters: ["plain", "prefixed"] });
    const own = Object.fromEntries(Object.keys(all).map((name) => [name, tiny.tensors[name] as Tensors[string]]));
    expect(await model.deploy("own", { adapter, norms: own })).toMatchObject({ norms: 0 });
    await model.run({ ids }, { adapters: ["own", null] });
  });

  test("is gone with its norms, its head and its adapter", async () => {
    const bare = await active(null);
    await model.deploy("t", { adapter, norms: all, head });
    const first = await active("t");
    expect(first.hidden).not.toEqual(bare.hidden);
    model.removeTask("t");
    expect([model.tasks, model.adapters, model.active]).toEqual([[], [], null]);
    expect(await outcome(model)).toEqual(bare);
    expect(model.heads).toEqual([]);
    expect(() => model.removeTask("t")).toThrowError(/no task t/);
    // An adapter of the same name brings back nothing of it; nor does one whose task was removed as an adapter.
    await model.addAdapter("t", adapter);
    const plain = await active("t");
    expect(plain.hidden).not.toEqual(first.hidden);
    model.removeAdapter("t");
    await model.deploy("t", { adapter, norms: all });
    model.removeAdapter("t");
    await model.addAdapter("t", adapter);
    expect(await active("t")).toEqual(plain);
  });

  test("brings its tagger, which runs when it is named", async () => {
    await model.deploy("t", { adapter, norms: all, head: { head_type: "tagging", num_labels: 4 } });
    model.setActive("t");
    const { heads } = await model.run({ ids }, { outputs: ["heads.t"] });
    expect(heads.t?.shape).toEqual([6, 4]);
    expect((await model.run({ ids })).heads).toEqual({});
  });

  test("on the light path of routing brings its norms too", async () => {
    await model.deploy("t", { adapter, norms: all });
    const loaded = await loadModel(gpu, withNorms(tiny, all));
    await loaded.addAdapter("t", adapter);
    for (const one of [model, loaded]) {
      one.setActive(null);
      one.setRouting(coda({ reduction: 2, attention: "k-to-all", adapter: "t" }));
    }
    const [found, expected] = [await outcome(model), await outcome(loaded)];
    model.setRouting(null);
    await loaded.dispose();
    expect(found.hidden).toEqual(expected.hidden);
  });

  test("that does not fit is refused with the full list, and leaves nothing", async () => {
    const bare = await active(null);
    const before = { ...gpu.memory };
    const nan = new Float32Array(32);
    nan[3] = NaN;
    const norms = {
      "embeddings.LayerNorm.weight": { shape: [32], data: nan },
      "encoder.layer.0.output.LayerNorm.weight": { shape: [31], data: new Float32Array(31) },
      "encoder.layer.2.output.LayerNorm.weight": { shape: [32], data: new Float32Array(32) },
      "encoder.layer.0.output.dense.bias": { shape: [32], data: new Float32Array(32) },
      "encoder.layer.1.output.LayerNorm.bias": { shape: [32], data: new Float32Array(32) },
      "bert.encoder.layer.1.output.LayerNorm.bias": { shape: [32], data: new Float32Array(32) },
    };
    const error = await model.deploy("t", { adapter, norms, head }).catch((caught: EngineError) => caught);
    expect(error).toMatchObject({ code: "BAD_WEIGHTS", where: "t" });
    const { message } = error as EngineError;
    expect(message).toMatch(/5 problems/);
    for (const part of [
      "not finite: embeddings.LayerNorm.weight",
      "wrong shape: encoder.layer.0.output.LayerNorm.weight is [31], expected [32]",
      "unexpected: encoder.layer.2.output.LayerNorm.weight [32]",
      "unexpected: encoder.layer.0.output.dense.bias [32]",
      "twice: bert.encoder.layer.1.output.LayerNorm.bias",
    ])
      expect(message).toContain(part);
    const badHead = model.deploy("t", { adapter, norms: all, head: { head_type: "classification", num_labels: -1 } });
    await expect(badHead).rejects.toMatchObject({ code: "BAD_CONFIG" });
    await expect(model.deploy("t", { adapter: { config: "seq_bn", tensors: {} }, norms: all })).rejects.toThrowError(
      /missing/,
    );
    expect([model.tasks, model.adapters, model.heads]).toEqual([[], [], []]);
    expect({ ...gpu.memory }).toEqual(before);
    expect(await outcome(model)).toEqual(bare);
    await model.deploy("t", { adapter, norms: all });
    await expect(model.deploy("t", { adapter })).rejects.toThrowError(/adapter t already/);
    expect(model.tasks).toEqual(["t"]);
  });

  test.each(["safetensors", "torch"] as const)(
    "goes to one folder and back, as %s, with what differs alone",
    async (weights) => {
      const folder = join(disk, weights);
      const some = {
        ...all,
        "embeddings.LayerNorm.weight": tiny.tensors["embeddings.LayerNorm.weight"] as Tensors[string],
      };
      await model.deploy("t", { adapter, norms: some, head });
      const expected = await active("t");
      await saveTask(model, "t", folder, { weights });
      expect(readdirSync(folder)).toHaveLength(5);
      const file = weights === "torch" ? "layer_norms.bin" : "layer_norms.safetensors";
      const stored = readTensorFile(readFileSync(join(folder, file)), file).tensors;
      expect([...stored.keys()].sort()).toEqual(
        Object.keys(all)
          .filter((name) => name !== "embeddings.LayerNorm.weight")
          .sort(),
      );
      expect(
        allBits(new Map([...stored].map(([name, one]) => [name, { shape: one.shape, data: toFloat32(one) }]))),
      ).toEqual(allBits(model.contents.norms("t")));
      model.removeTask("t");
      await model.deploy("t", folder);
      expect(await active("t")).toEqual(expected);
      // The folder may also be given in parts, and norms be left at home.
      await model.deploy("u", { adapter: folder, norms: null, head: null });
      expect((await active("u")).heads).toEqual({});
      expect((await active("u")).hidden).not.toEqual(expected.hidden);
      await model.deploy("v", { adapter, norms: folder });
      expect((await active("v")).hidden).toEqual(expected.hidden);
      await expect(model.addAdapter("w", folder)).rejects.toThrowError(/holds layer norms of a task/);
      // A smaller task in the same place leaves nothing of the larger one.
      await saveTask(model, "u", folder);
      expect(readdirSync(folder).sort()).toEqual(["adapter.safetensors", "adapter_config.json"]);
      expect(() => taskFiles(model, "x")).toThrowError(/no task x/);
    },
  );

  test("is deployed from an adapter and a folder of norms, on a host in half precision too", async () => {
    const name = "embeddings.LayerNorm.bias";
    const data = new Float32Array(32).fill(0.5);
    const norms = memoryFolder([["layer_norms.safetensors", tensorFile({ [name]: { shape: [32], data } })]]);
    await model.deploy("t", { adapter, norms });
    expect(model.contents.norms("t").get(name)?.data).toEqual(data);
    const half = await loadModel(gpu, tiny.folder, { precision: "f16" });
    await half.deploy("t", { adapter, norms });
    half.setActive("t");
    const first = await outcome(half);
    half.setActive(null);
    expect((await outcome(half)).hidden).not.toEqual(first.hidden);
    await half.dispose();
  });
});

describe.skipIf(missing("adapters-golden"))("on the library's own host", () => {
  test("A, B, A gives the bits of a host with those norms", async () => {
    const root = join(dataPath("adapters-golden"), "bert");
    const task = (name: string): string => join(root, "cases", name, "adapters", "a");
    const file = readFileSync(join(root, "base", "model.safetensors"));
    const base = readTensorFile(file, "model.safetensors").tensors;
    const tensors = Object.fromEntries(
      [...base].flatMap(([name, one]) =>
        one.dtype === "F32" ? [[name, { shape: one.shape, data: toFloat32(one) }]] : [],
      ),
    ) as TinyModel["tensors"];
    const norms = otherNorms(tensors, 1, () => true);
    const config = JSON.parse(readFileSync(join(root, "base", "config.json"), "utf8")) as Record<string, unknown>;
    const changed = await loadModel(gpu, withNorms({ config, tensors } as TinyModel, norms));
    const plain = await loadModel(gpu, join(root, "base"));
    await changed.addAdapter("A", task("head_cls1"));
    await plain.addAdapter("B", task("lora_all"));
    changed.setActive("A");
    plain.setActive("B");
    const [a, b] = [await outcome(changed), await outcome(plain)];
    await changed.dispose();
    plain.removeAdapter("B");
    await plain.deploy("A", { adapter: task("head_cls1"), norms });
    await plain.deploy("B", task("lora_all"));
    for (const [name, expected] of [
      ["A", a],
      ["B", b],
      ["A", a],
    ] as const) {
      plain.setActive(name);
      expect(await outcome(plain), name).toEqual(expected);
    }
    expect(Object.keys(a.heads)).toEqual(["A"]);
    await plain.dispose();
  });
});
