/** @file RoBERTa and DistilBERT: random checkpoints under the published tensor names against a plain float64 pass. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildHost } from "../../src/hosts/index.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { Tensor } from "../../src/model/types.ts";
import { normal } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { relativeError } from "../model/truth.ts";
import { checkpointBytes, memoryFolder } from "../tiny-models.ts";
import { Plain } from "./bert-plain.ts";
import type { Names, Rows, Tensors } from "./bert-plain.ts";

const D = 24;
const HEADS = 3;
const FFN = 40;
const VOCABULARY = 23;
const LAYERS = 2;
const LABELS = 5;
const PAD = 1;
const POSITIONS = 12;

const IDS = [[0, 7, 22, 3, 9], [5], [2, 2, 2, 11, 13, 17, 19]];
const TYPES = [[0, 0, 1, 1, 0], [1], [0, 1, 0, 1, 0, 1, 0]];

const families: Readonly<Record<string, Names>> = {
  roberta: {
    prefix: "roberta.",
    layer: "encoder.layer",
    maps: {
      query: "attention.self.query",
      key: "attention.self.key",
      value: "attention.self.value",
      proj: "attention.output.dense",
      norm1: "attention.output.LayerNorm",
      up: "intermediate.dense",
      down: "output.dense",
      norm2: "output.LayerNorm",
    },
    types: 2,
    heads: HEADS,
    layers: LAYERS,
    start: PAD + 1,
    eps: 1e-5,
  },
  distilbert: {
    prefix: "distilbert.",
    layer: "transformer.layer",
    maps: {
      query: "attention.q_lin",
      key: "attention.k_lin",
      value: "attention.v_lin",
      proj: "attention.out_lin",
      norm1: "sa_layer_norm",
      up: "ffn.lin1",
      down: "ffn.lin2",
      norm2: "output_layer_norm",
    },
    types: 0,
    heads: HEADS,
    layers: LAYERS,
    start: 0,
    eps: 1e-12,
  },
};

const configs: Readonly<Record<string, Record<string, unknown>>> = {
  roberta: {
    model_type: "roberta",
    hidden_size: D,
    num_attention_heads: HEADS,
    num_hidden_layers: LAYERS,
    intermediate_size: FFN,
    max_position_embeddings: POSITIONS,
    vocab_size: VOCABULARY,
    type_vocab_size: 2,
    layer_norm_eps: 1e-5,
    pad_token_id: PAD,
  },
  distilbert: {
    model_type: "distilbert",
    dim: D,
    n_heads: HEADS,
    n_layers: LAYERS,
    hidden_dim: FFN,
    max_position_embeddings: POSITIONS,
    vocab_size: VOCABULARY,
    activation: "gelu",
  },
};

/** Fills a checkpoint; every tensor has its own seed. */
class Checkpoint {
  readonly tensors: Tensors = {};
  #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  draw(name: string, shape: readonly number[], deviation: number, mean = 0): void {
    const count = shape.reduce((product, dim) => product * dim, 1);
    this.tensors[name] = { shape, data: normal((this.#seed += 1), count, deviation, mean) };
  }

  linear(name: string, out: number, inputs: number): void {
    this.draw(`${name}.weight`, [out, inputs], 0.35);
    this.draw(`${name}.bias`, [out], 0.2);
  }

  norm(name: string): void {
    this.draw(`${name}.weight`, [D], 0.1, 1);
    this.draw(`${name}.bias`, [D], 0.1);
  }
}

function base(names: Names, prefix = names.prefix): Checkpoint {
  const made = new Checkpoint(100);
  const at = `${prefix}embeddings`;
  made.draw(`${at}.word_embeddings.weight`, [VOCABULARY, D], 1);
  made.draw(`${at}.position_embeddings.weight`, [POSITIONS, D], 1);
  if (names.types > 0) made.draw(`${at}.token_type_embeddings.weight`, [names.types, D], 1);
  made.norm(`${at}.LayerNorm`);
  for (let layer = 0; layer < LAYERS; layer += 1) {
    const name = (map: keyof Names["maps"]): string => `${prefix}${names.layer}.${layer}.${names.maps[map]}`;
    for (const map of ["query", "key", "value", "proj"] as const) made.linear(name(map), D, D);
    made.linear(name("up"), FFN, D);
    made.linear(name("down"), D, FFN);
    made.norm(name("norm1"));
    made.norm(name("norm2"));
  }
  return made;
}

/** The base differs from float64 by f32 roundings that grow little from layer to layer: what the golden bases show as well. */
const TOLERANCE = 1e-5;

describe.each(["roberta", "distilbert"])("%s", (family) => {
  const names = families[family] as Names;
  const types = names.types > 0 ? TYPES : IDS.map((ids) => ids.map(() => 0));
  const input = { ids: IDS, ...(names.types > 0 ? { types: TYPES } : {}) };
  const loaded: Model[] = [];

  const load = async (tensors: Tensors, extra: Record<string, unknown> = {}): Promise<Model> => {
    const config = JSON.stringify({ ...configs[family], ...extra });
    const folder = memoryFolder({ "config.json": config, "model.safetensors": checkpointBytes(tensors) });
    const model = await loadFolder(await sharedGpu(), folder);
    loaded.push(model);
    return model;
  };
  const truth = (tensors: Tensors, prefix?: string): Rows[] => {
    const plain = new Plain(tensors, names, prefix);
    return IDS.map((ids, s) => plain.hidden(ids, types[s] as number[]));
  };
  afterAll(async () => {
    for (const model of loaded) await model.dispose();
  });

  describe("the base", () => {
    let made: Tensors;
    let expected: Rows[];
    beforeAll(() => {
      made = base(names).tensors;
      expected = truth(made);
    });

    test("ragged batch against float64", async () => {
      const model = await load(made);
      const { hidden } = await model.run(input);
      expect(relativeError((hidden as Tensor).data, expected.flat(2))).toBeLessThan(TOLERANCE);
    });

    test("a bare checkpoint, without the prefix and with buffers, is the same model", async () => {
      const bare = base(names, "").tensors;
      bare["embeddings.position_ids"] = { shape: [1, POSITIONS], data: new Float32Array(POSITIONS) };
      const model = await load(bare);
      const { hidden } = await model.run(input);
      expect(relativeError((hidden as Tensor).data, expected.flat(2))).toBeLessThan(TOLERANCE);
      expect(model.report.ignored).toContainEqual({ tensor: "embeddings.position_ids", reason: "buffer" });
    });

    test("the longest sequence is what the position table leaves", async () => {
      const model = await load(made);
      const longest = POSITIONS - names.start;
      const ids = [Array.from({ length: longest }, (_, i) => i + 2)];
      const plain = new Plain(made, names);
      const truthful = plain.hidden(ids[0] as number[], ids[0]?.map(() => 0) as number[]);
      const { hidden } = await model.run({ ids });
      expect(relativeError((hidden as Tensor).data, truthful.flat())).toBeLessThan(TOLERANCE);
      await expect(model.run({ ids: [Array.from({ length: longest + 1 }, () => 3)] })).rejects.toMatchObject({
        code: "BAD_INPUT",
      });
    });
  });

  test("the classifier of sequences", async () => {
    const made = base(names);
    const [dense, last] =
      family === "roberta" ? ["classifier.dense", "classifier.out_proj"] : ["pre_classifier", "classifier"];
    made.linear(dense as string, D, D);
    made.linear(last as string, LABELS, D);
    const plain = new Plain(made.tensors, names);
    const first = truth(made.tensors).map((rows) => rows[0] as number[]);
    const apply = family === "roberta" ? Math.tanh : (x: number): number => Math.max(x, 0);
    const active = plain.linear(first, dense as string).map((row) => row.map(apply));
    const logits = plain.linear(active, last as string);
    const model = await load(made.tensors, { id2label: { 0: "a", 1: "b", 2: "c", 3: "d", 4: "e" } });
    const { heads } = await model.run(input);
    expect(heads.default?.shape).toEqual([IDS.length, LABELS]);
    expect(relativeError((heads.default as Tensor).data, logits.flat())).toBeLessThan(TOLERANCE);
  });

  test("the tagger", async () => {
    const made = base(names);
    made.linear("classifier", LABELS, D);
    const logits = new Plain(made.tensors, names).linear(truth(made.tensors).flat(), "classifier");
    const architectures = [family === "roberta" ? "RobertaForTokenClassification" : "DistilBertForTokenClassification"];
    const model = await load(made.tensors, { architectures, num_labels: LABELS });
    const { heads } = await model.run(input, { outputs: ["heads.default"] });
    expect(relativeError((heads.default as Tensor).data, logits.flat())).toBeLessThan(TOLERANCE);
  });

  test("the masked language model; the tied copy is left alone", async () => {
    const made = base(names);
    const own = family === "roberta";
    const [dense, norm] = own ? ["lm_head.dense", "lm_head.layer_norm"] : ["vocab_transform", "vocab_layer_norm"];
    const [bias, copy] = own
      ? ["lm_head.bias", "lm_head.decoder.weight"]
      : ["vocab_projector.bias", "vocab_projector.weight"];
    const words = `${names.prefix}embeddings.word_embeddings.weight`;
    made.linear(dense as string, D, D);
    made.norm(norm as string);
    made.draw(bias as string, [VOCABULARY], 0.5);
    made.tensors[copy as string] = made.tensors[words] as Tensors[string];
    const plain = new Plain(made.tensors, names);
    const logits = plain.language(truth(made.tensors).flat(), dense as string, norm as string, bias as string, words);
    const model = await load(made.tensors);
    const { heads } = await model.run(input, { outputs: ["heads.default"] });
    expect(relativeError((heads.default as Tensor).data, logits.flat())).toBeLessThan(TOLERANCE);
    expect(model.report.ignored).toContainEqual({ tensor: copy, reason: "tied copy" });
  });

  test("a pooler and heads of other tasks are listed, not refused", async () => {
    const made = base(names);
    made.linear("qa_outputs", 2, D);
    if (family === "roberta") made.linear("roberta.pooler.dense", D, D);
    const { ignored } = (await load(made.tensors)).report;
    expect(ignored).toContainEqual({ tensor: "qa_outputs.weight", reason: "head of another task" });
    expect(ignored).toHaveLength(family === "roberta" ? 4 : 2);
  });
});

describe("RoBERTa's positions", () => {
  test("start behind the padding id, whatever it is", () => {
    const tokens = (extra: Record<string, unknown>): number =>
      buildHost({ config: { ...configs.roberta, ...extra }, tensors: new Set() }, false).shape.maxTokens;
    expect(tokens({})).toBe(POSITIONS - 2);
    expect(tokens({ pad_token_id: 0 })).toBe(POSITIONS - 1);
    expect(tokens({ pad_token_id: undefined })).toBe(POSITIONS - 2);
    expect(() => tokens({ max_position_embeddings: 2 })).toThrow(/2 positions leave none behind the padding id 1/);
    expect(() => tokens({ pad_token_id: -1 })).toThrow(/pad_token_id is -1/);
  });
});
