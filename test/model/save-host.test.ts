/** @file Saving a host: the folder that is written loads to the same bits, for every family; trained and merged weights are what is written. */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { readTensorFile } from "../../src/formats/checkpoint.ts";
import { toFloat32, toIntegers } from "../../src/formats/tensor.ts";
import { roundF16 } from "../../src/half.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { LoadOptions } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { modelFiles } from "../../src/model/save-host.ts";
import { loadModel, saveModel } from "../../src/node.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { memoryFolder as folderOfFiles } from "../formats/memory-folder.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { checkpointBytes, memoryFolder, tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { inputOf } from "./coda-case.ts";
import { hiddenOf, lively } from "./lively.ts";

const open: Model[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

async function load(folder: TinyModel["folder"], options: LoadOptions = {}): Promise<Model> {
  const made = await loadFolder(await sharedGpu(), folder, options);
  open.push(made);
  return made;
}

function tensorsOf(
  files: ReadonlyMap<string, Uint8Array>,
): Record<string, { dtype: string; shape: readonly number[]; data: Float32Array }> {
  const { tensors } = readTensorFile(files.get("model.safetensors") as Uint8Array, "model.safetensors");
  return Object.fromEntries(
    [...tensors].map(([name, tensor]) => [
      name,
      {
        dtype: tensor.dtype,
        shape: tensor.shape,
        data: tensor.dtype === "I32" ? Float32Array.from(toIntegers(tensor)) : toFloat32(tensor),
      },
    ]),
  );
}

async function bits(model: Model, family: string): Promise<Uint32Array> {
  const hidden = hiddenOf(await model.run(inputOf(family, [7, 2, 5]), { outputs: ["hidden"] }));
  return new Uint32Array(hidden.buffer, hidden.byteOffset, hidden.length);
}

describe("the tensors of a checkpoint", () => {
  test.each(["bert", "albert", "t5", "gpt2", "kwt"])(
    "of %s are written as they were read, and load to the same bits",
    async (family) => {
      const tiny = tinyModel(family);
      const model = await load(tiny.folder);
      const files = await modelFiles(model);
      const written = tensorsOf(files);
      expect(Object.keys(written).sort()).toEqual(Object.keys(tiny.tensors).sort());
      for (const [name, { shape, data }] of Object.entries(tiny.tensors)) {
        expect(written[name]?.shape, name).toEqual(shape);
        expect(written[name]?.data, name).toEqual(Float32Array.from(data));
      }
      expect(JSON.parse(new TextDecoder().decode(files.get("config.json")))).toEqual(tiny.config);
      expect(await bits(await load(folderOfFiles(files)), family)).toEqual(await bits(model, family));
    },
  );

  test("keep their prefix, their head and what is tied", async () => {
    const tiny = tinyModel("gpt2", { architectures: ["GPT2LMHeadModel"] });
    const prefixed = Object.fromEntries(
      Object.entries(tiny.tensors).map(([name, tensor]) => [`transformer.${name}`, tensor]),
    );
    const folder = memoryFolder({
      "config.json": JSON.stringify(tiny.config),
      "model.safetensors": checkpointBytes(prefixed),
    });
    const model = await load(folder);
    const files = await modelFiles(model);
    expect(Object.keys(tensorsOf(files)).sort()).toEqual(Object.keys(prefixed).sort());
    const ids = { ids: [[3, 1, 4]] };
    const logits = async (of: Model): Promise<unknown> =>
      (await of.run(ids, { outputs: ["heads.default"] })).heads.default;
    expect(await logits(await load(folderOfFiles(files)))).toEqual(await logits(model));
  });
});

describe("half precision", () => {
  test("rounds matrices and tables, and no vector", async () => {
    const tiny = tinyModel("bert");
    const files = await modelFiles(await load(tiny.folder), { precision: "f16" });
    const written = tensorsOf(files);
    const name = "encoder.layer.1.attention.self.key";
    const [matrix, bias] = [`${name}.weight`, `${name}.bias`];
    expect(written[matrix]).toMatchObject({ dtype: "F16", data: roundF16(tiny.tensors[matrix]?.data as Float32Array) });
    expect(written[bias]).toMatchObject({ dtype: "F32", data: tiny.tensors[bias]?.data });
    expect(JSON.parse(new TextDecoder().decode(files.get("config.json")))).toMatchObject({ torch_dtype: "float16" });
  });

  test("of a model that is resident in it writes what is resident", async () => {
    const model = await load(tinyModel("bert").folder, { precision: "f16" });
    const files = await modelFiles(model);
    expect(await bits(await load(folderOfFiles(files), { precision: "f16" }), "bert")).toEqual(
      await bits(model, "bert"),
    );
    // As f32 the same values.
    const whole = await load(folderOfFiles(await modelFiles(model, { precision: "f32" })), { precision: "f16" });
    expect(await bits(whole, "bert")).toEqual(await bits(model, "bert"));
  });

  test("refuses values beyond it, and an unknown precision", async () => {
    const tiny = tinyModel("bert");
    const tensor = "encoder.layer.0.output.dense.weight";
    tiny.tensors[tensor]?.data.fill(70_000, 3, 4);
    const folder = memoryFolder({
      "config.json": JSON.stringify(tiny.config),
      "model.safetensors": checkpointBytes(tiny.tensors),
    });
    const model = await load(folder);
    await expect(modelFiles(model, { precision: "f16" })).rejects.toMatchObject({ code: "BAD_INPUT", where: tensor });
    await expect(modelFiles(model, { precision: "f8" as "f16" })).rejects.toThrow('precision is "f8"');
  });
});

describe("what has changed", () => {
  test("by a training of the whole host is written, with the tied table", async () => {
    const model = await load(tinyModel("gpt2", { architectures: ["GPT2LMHeadModel"] }).folder);
    const before = tensorsOf(await modelFiles(model));
    const trainer = await Trainer.create(model, {
      train: { host: "all" },
      head: "default",
      objective: { kind: "cross-entropy" },
      optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, clip: 1 },
    });
    const part = {
      input: {
        ids: [
          [3, 9, 27, 1],
          [8, 2, 19],
        ],
      },
      targets: [9, 27, 1, 4, 2, 19, 5],
    };
    const losses: number[] = [];
    for (let i = 0; i < 4; i += 1) losses.push((await trainer.step([part], { learningRate: 0.01 })).loss);
    expect(losses[3]).toBeLessThan(0.9 * (losses[0] as number));
    const during = await bits(model, "gpt2");
    await trainer.writeBack();
    await trainer.dispose();
    expect(await bits(model, "gpt2")).toEqual(during);
    const files = await modelFiles(model);
    for (const [name, { data }] of Object.entries(tensorsOf(files))) expect(data, name).not.toEqual(before[name]?.data);
    expect(await bits(await load(folderOfFiles(files)), "gpt2")).toEqual(during);
  });

  test("by a merged adapter is written; norms of a task are not", async () => {
    const model = await load(tinyModel("bert").folder);
    const own = tensorsOf(await modelFiles(model));
    const norms = Object.fromEntries(
      model.host.weights
        .filter(({ norm }) => norm === true)
        .map(({ parts, shape }) => [
          parts[0]?.tensor as string,
          { shape, data: new Float32Array(shape[0] as number).fill(0.5) },
        ]),
    );
    await model.deploy("t", { adapter: "seq_bn", norms });
    model.setActive("t");
    const task = await bits(model, "bert");
    expect(tensorsOf(await modelFiles(model))).toEqual(own);
    expect(await bits(model, "bert")).toEqual(task);
    model.setActive(null);
    await model.addAdapter("low", lively(model.host.shape, { architecture: "lora", r: 2, alpha: 6 }, 1));
    await model.mergeAdapter("low");
    const merged = tensorsOf(await modelFiles(model));
    const changed = Object.keys(own).filter((name) =>
      merged[name]?.data.some((value, i) => value !== own[name]?.data[i]),
    );
    expect(changed.sort()).toEqual(
      [0, 1].flatMap((layer) => ["query", "value"].map((map) => `encoder.layer.${layer}.attention.self.${map}.weight`)),
    );
  });
});

describe("a folder on disk", () => {
  test("holds configuration, weights and the tokenizer's files, and loads by its path", async () => {
    const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...Array.from({ length: 25 }, (_, i) => `w${i}`)].join(
      "\n",
    );
    const tiny = tinyModel("bert");
    const folder = memoryFolder({
      "config.json": JSON.stringify(tiny.config),
      "model.safetensors": checkpointBytes(tiny.tensors),
      "vocab.txt": words,
    });
    const model = await load(folder, { tokenizer: "wordpiece" });
    const disk = mkdtempSync(join(tmpdir(), "host-"));
    try {
      await saveModel(model, disk);
      expect(readdirSync(disk).sort()).toEqual(["config.json", "model.safetensors", "vocab.txt"]);
      const again = await loadModel(await sharedGpu(), disk, { tokenizer: "wordpiece" });
      open.push(again);
      const run = { texts: ["w1 w7", "w20"] };
      expect((await again.run(run)).hidden).toEqual((await model.run(run)).hidden);
    } finally {
      rmSync(disk, { recursive: true });
    }
  });
});
