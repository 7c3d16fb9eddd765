/** @file Fresh hosts: distributions as the classes of Hugging Face draw them, the same bits for the same seed, heads as configured. */

import { afterEach, describe, expect, test } from "vitest";
import { toFloat32 } from "../../src/formats/tensor.ts";
import { buildHost } from "../../src/hosts/index.ts";
import { freshNames, freshWeights } from "../../src/model/fresh-weights.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { LoadOptions } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { modelFiles } from "../../src/model/save-host.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { memoryFolder as folderOfFiles } from "../formats/memory-folder.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { checkpointBytes, memoryFolder, tinyConfigs, tinyModel } from "../tiny-models.ts";

const open: Model[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

async function load(files: Parameters<typeof memoryFolder>[0], options: LoadOptions): Promise<Model> {
  const made = await loadFolder(await sharedGpu(), memoryFolder(files), options);
  open.push(made);
  return made;
}

type Config = Record<string, unknown>;

function drawn(config: Config, seed = 1): Map<string, Float32Array> {
  const host = buildHost({ config, tensors: freshNames(config) }, false);
  return new Map([...freshWeights(host, config, { seed })].map(([name, stored]) => [name, toFloat32(stored)]));
}

function tensor(of: ReadonlyMap<string, Float32Array>, name: string): Float32Array {
  const found = of.get(name);
  if (found === undefined) throw new Error(`no ${name}; there are ${[...of.keys()].join(", ")}`);
  return found;
}

/** Mean, deviation and the share beyond two deviations. Of 4,096 numbers the deviation is known to 1.1 %, the mean to 1.6 % of it. */
function expectNormal(data: Float32Array, deviation: number): void {
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  const spread = Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length);
  const spare = 5 / Math.sqrt(data.length);
  expect(Math.abs(mean) / deviation).toBeLessThan(spare);
  expect(Math.abs(spread / deviation - 1)).toBeLessThan(spare);
  const beyond = data.filter((value) => Math.abs(value) > 2 * deviation).length / data.length;
  expect(Math.abs(beyond - 0.0455)).toBeLessThan(spare * 0.25);
}

const wide = { ...tinyConfigs.bert, hidden_size: 64, intermediate_size: 64 };

describe("distributions", () => {
  test("matrices and tables from N(0, initializer_range²), biases 0, norms 1", () => {
    const weights = drawn({ ...wide, initializer_range: 0.05 });
    expectNormal(tensor(weights, "encoder.layer.0.attention.self.query.weight"), 0.05);
    expectNormal(tensor(weights, "embeddings.word_embeddings.weight"), 0.05);
    expectNormal(tensor(drawn(wide), "encoder.layer.1.output.dense.weight"), 0.02);
    for (const [name, data] of weights) {
      if (name.endsWith("LayerNorm.weight")) expect(new Set(data), name).toEqual(new Set([1]));
      if (name.endsWith("bias")) expect(new Set(data), name).toEqual(new Set([0]));
    }
    expect([...weights.keys()].filter((name) => name.endsWith("LayerNorm.weight"))).toHaveLength(5);
  });

  test("gpt2: what closes a branch is smaller by √(2 layers)", () => {
    const weights = drawn({ ...tinyConfigs.gpt2, n_embd: 64, n_layer: 8 });
    expectNormal(tensor(weights, "h.3.attn.c_proj.weight"), 0.02 / 4);
    expectNormal(tensor(weights, "h.3.mlp.c_proj.weight"), 0.02 / 4);
    expectNormal(tensor(weights, "h.3.mlp.c_fc.weight"), 0.02);
    expectNormal(tensor(weights, "wpe.weight"), 0.02);
  });

  test("t5: every matrix by its own widths", () => {
    const config = { ...tinyConfigs.t5, d_model: 64, d_ff: 128, initializer_factor: 2 };
    const weights = drawn(config);
    const at = "encoder.block.1.layer";
    expectNormal(tensor(weights, "shared.weight"), 2);
    expectNormal(tensor(weights, `${at}.0.SelfAttention.q.weight`), 2 / Math.sqrt(64 * 12));
    expectNormal(tensor(weights, `${at}.0.SelfAttention.v.weight`), 2 / 8);
    expectNormal(tensor(weights, `${at}.0.SelfAttention.o.weight`), 2 / Math.sqrt(36));
    expectNormal(tensor(weights, `${at}.1.DenseReluDense.wi_1.weight`), 2 / 8);
    expectNormal(tensor(weights, `${at}.1.DenseReluDense.wo.weight`), 2 / Math.sqrt(128));
    expect(new Set(tensor(weights, `${at}.0.layer_norm.weight`))).toEqual(new Set([2]));
    const bias = tensor(weights, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    expect(bias.some((value) => value !== 0)).toBe(true);
  });

  test("the same seed gives the same bits, whatever else there is; other seeds and tensors have others", () => {
    const [plain, headed] = [drawn(wide, 7), drawn({ ...wide, architectures: ["BertForMaskedLM"] }, 7)];
    const name = "encoder.layer.0.attention.self.query.weight";
    expect(drawn(wide, 7)).toEqual(plain);
    const shallow = drawn({ ...wide, num_hidden_layers: 1 }, 7);
    expect(tensor(shallow, name)).toEqual(tensor(plain, name));
    expect(tensor(drawn(wide, 8), name)).not.toEqual(tensor(plain, name));
    expect(tensor(plain, name)).not.toEqual(tensor(plain, name.replace("query", "key")));
    expect(tensor(headed, `bert.${name}`)).toEqual(tensor(plain, name));
  });
});

describe("architectures", () => {
  test.each<[string, string, string, boolean]>([
    ["bert", "BertForMaskedLM", "cls.predictions.bias", true],
    ["bert", "BertForSequenceClassification", "classifier.weight", true],
    ["albert", "AlbertForMaskedLM", "predictions.dense.weight", true],
    ["gpt2", "GPT2LMHeadModel", "transformer.wte.weight", true],
    ["gpt2", "GPT2Model", "wte.weight", false],
    ["bert", "BertModel", "pooler.dense.weight", false],
  ])("%s as %s", (family, name, expected, head) => {
    const config = { ...tinyConfigs[family], architectures: [name] };
    const host = buildHost({ config, tensors: freshNames(config) }, false);
    expect([...freshWeights(host, config, { seed: 0 }).keys()]).toContain(expected);
    expect(host.head !== null).toBe(head);
  });

  test("a head that is not known is refused", () => {
    expect(() => freshNames({ ...wide, architectures: ["BertForQuestionAnswering"] })).toThrow(
      "BertForQuestionAnswering",
    );
  });
});

describe("loaded", () => {
  test("without a weights file, saved and loaded again to the same bits, and trained from scratch", async () => {
    const config = { ...tinyConfigs.gpt2, architectures: ["GPT2LMHeadModel"] };
    const model = await load({ "config.json": JSON.stringify(config) }, { fresh: { seed: 3 } });
    expect(model.report.file).toBe("fresh weights, seed 3");
    const input = {
      ids: [
        [3, 9, 27, 1],
        [8, 2, 19],
      ],
    };
    const run = async (of: Model): Promise<unknown> => (await of.run(input)).hidden;
    const first = await run(model);
    expect(await run(await load({ "config.json": JSON.stringify(config) }, { fresh: { seed: 3 } }))).toEqual(first);
    expect(await run(await load({}, { config, fresh: { seed: 4 } }))).not.toEqual(first);
    const saved = await loadFolder(await sharedGpu(), folderOfFiles(await modelFiles(model)));
    open.push(saved);
    expect(await run(saved)).toEqual(first);
    const trainer = await Trainer.create(model, {
      train: { host: "all" },
      head: "default",
      objective: { kind: "cross-entropy" },
      optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 },
      dropout: null,
    });
    const losses: number[] = [];
    for (let i = 0; i < 12; i += 1)
      losses.push((await trainer.step([{ input, targets: [9, 27, 1, 4, 2, 19, 5] }], { learningRate: 0.01 })).loss);
    await trainer.dispose();
    // The loss begins at the logarithm of the vocabulary: logits of fresh weights, of a normed row of 32 with words from N(0, 0.02²), have a
    // deviation of 0.02 √32, the mean over 7 targets one of that by √7. Four of those are allowed.
    expect(Math.abs((losses[0] as number) - Math.log(30))).toBeLessThan((4 * 0.02 * Math.sqrt(32)) / Math.sqrt(7));
    expect(losses.at(-1)).toBeLessThan(1);
  });

  test("of a host with a front end that is not learned: kept from its checkpoint, refused without one", async () => {
    const tiny = tinyModel("kwt");
    const files = { "config.json": JSON.stringify(tiny.config), "model.safetensors": checkpointBytes(tiny.tensors) };
    const model = await load(files, { fresh: { seed: 1 } });
    const written = await loadFolder(await sharedGpu(), folderOfFiles(await modelFiles(model)));
    open.push(written);
    const values = await model.exclusive(async ({ parts }) => {
      const bytes = await parts.gpu.read(
        ["frontend.dct", "layers.0.up.weight"].map((name) => parts.parameters.slice(name)),
      );
      return bytes.map((one) => new Float32Array(one));
    });
    expect(values[0]).toEqual(tiny.tensors["frontend.dct"]?.data);
    expect(values[1]).not.toEqual(tiny.tensors["blocks.0.fc1.weight"]?.data);
    await expect(load({ "config.json": files["config.json"] }, { fresh: { seed: 1 } })).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("frontend.window") as string,
    });
  });

  test.each([-1, 0.5, 2 ** 32, Number.NaN])("the seed %s is refused", async (seed) => {
    await expect(load({ "config.json": JSON.stringify(wide) }, { fresh: { seed } })).rejects.toMatchObject({
      code: "BAD_CONFIG",
      where: "fresh.seed",
    });
  });

  test("positions that are not learned are refused", () => {
    const config = {
      model_type: "distilbert",
      dim: 16,
      n_heads: 2,
      n_layers: 1,
      hidden_dim: 16,
      vocab_size: 30,
      max_position_embeddings: 8,
    };
    expect(() => drawn({ ...config, sinusoidal_pos_embds: true })).toThrow("sinusoidal_pos_embds");
    expect(drawn({ ...config, architectures: ["DistilBertForMaskedLM"] }).size).toBeGreaterThan(10);
  });
});
