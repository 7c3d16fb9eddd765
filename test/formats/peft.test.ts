/** @file PEFT folders: what they mean, that they are written as read, and what is refused. */

import { describe, expect, it } from "vitest";

import { readAdapterFolder } from "../../src/formats/adapter-hub/read-adapter.ts";
import type { PlainTensor, StoredAdapter } from "../../src/formats/adapter-hub/types.ts";
import { writeAdapterFolder } from "../../src/formats/adapter-hub/write-adapter.ts";
import { readTensorFile } from "../../src/formats/checkpoint.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import { expectError, expectRejection } from "./expect-error.ts";
import { allBits, counting, memoryFolder, tensorFile } from "./memory-folder.ts";

const R = 2;
const D = 6;

type Tensors = Record<string, PlainTensor>;

function peft(config: object, tensors: Tensors): Promise<StoredAdapter> {
  return readAdapterFolder(
    memoryFolder([
      ["adapter_config.json", config],
      ["adapter_model.safetensors", tensorFile(tensors)],
    ]),
  );
}

/** LoRA tensors of one module. */
function lora(path: string, first: number = 0, rank: number = R, out: number = D): Tensors {
  return {
    [`base_model.model.${path}.lora_A.weight`]: counting([rank, D], first),
    [`base_model.model.${path}.lora_B.weight`]: counting([out, rank], first + 100),
  };
}

/** As PEFT writes it for a sequence classifier, with the fields of a recent version. */
const loraConfig = {
  alora_invocation_tokens: null,
  alpha_pattern: {},
  arrow_config: null,
  auto_mapping: null,
  base_model_name_or_path: "bert-base-uncased",
  bias: "none",
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_alpha: 16,
  lora_bias: false,
  lora_dropout: 0.1,
  megatron_config: null,
  megatron_core: "megatron.core",
  modules_to_save: ["classifier"],
  peft_type: "LORA",
  peft_version: "0.18.0",
  qalora_group_size: 16,
  r: R,
  rank_pattern: {},
  revision: null,
  target_modules: ["query", "value"],
  target_parameters: null,
  task_type: "SEQ_CLS",
  trainable_token_indices: null,
  use_dora: false,
  use_qalora: false,
  use_rslora: false,
};

const query = "bert.encoder.layer.0.attention.self.query";

describe("LoRA", () => {
  it("reads a file as PEFT writes it", async () => {
    const head = {
      "base_model.model.classifier.weight": counting([2, D]),
      "base_model.model.pooler.weight": counting([1]),
    };
    const read = await peft(loraConfig, { ...lora(query), ...head });
    expect(read).toMatchObject({
      format: "peft",
      name: null,
      family: null,
      version: "0.18.0",
      modelName: "bert-base-uncased",
    });
    expect(read.config).toEqual({
      peft_type: "LORA",
      use_dora: false,
      use_rslora: false,
      modules: { "layers.0.query": { r: R, alpha: 16, scaling: 8 } },
      // Of training alone.
      lora_dropout: 0.1,
    });
    const expected = new Map([
      ["layers.0.query.lora_A", counting([R, D])],
      ["layers.0.query.lora_B", counting([D, R], 100)],
    ]);
    expect(allBits(read.tensors)).toEqual(allBits(expected));
    expect(read.left.map(({ name }) => name)).toEqual(["base_model.model.classifier.weight"]);
    expect(read.unexpected).toEqual(["base_model.model.pooler.weight"]);
  });

  it.each([
    ["encoder.layer.4.attention.self.value", "layers.4.value"],
    ["roberta.encoder.layer.4.attention.output.dense", "layers.4.proj"],
    ["bert.encoder.layer.4.intermediate.dense", "layers.4.up"],
    ["vit.encoder.layer.4.attention.attention.key", "layers.4.key"],
    ["vit.encoder.layer.4.output.dense", "layers.4.down"],
    ["distilbert.transformer.layer.4.attention.q_lin", "layers.4.query"],
    ["transformer.layer.4.ffn.lin2", "layers.4.down"],
    ["transformer.h.4.mlp.c_fc", "layers.4.up"],
    ["h.4.attn.c_proj", "layers.4.proj"],
    ["encoder.block.4.layer.0.SelfAttention.o", "layers.4.proj"],
    ["encoder.block.4.layer.1.DenseReluDense.wi_1", "layers.4.up"],
  ])("finds %s", async (path, name) => {
    const read = await peft({ peft_type: "LORA", r: R }, lora(path));
    expect([...read.tensors.keys()].sort()).toEqual([`${name}.lora_A`, `${name}.lora_B`]);
    expect(read.config["modules"]).toEqual({ [name]: { r: R, alpha: 8, scaling: 4 } });
  });

  it("takes ranks and alphas of single modules, and the root for rslora", async () => {
    const other = "bert.encoder.layer.1.attention.self.query";
    const config = {
      ...loraConfig,
      rank_pattern: { "layer.1.attention.self.query": 4 },
      alpha_pattern: { [`^${query}`]: 3 },
    };
    const tensors = { ...lora(query), ...lora(other, 5, 4) };
    const read = await peft(config, tensors);
    expect(read.config["modules"]).toEqual({
      "layers.0.query": { r: 2, alpha: 3, scaling: 1.5 },
      "layers.1.query": { r: 4, alpha: 16, scaling: 4 },
    });
    const rooted = await peft({ ...config, use_rslora: true }, tensors);
    expect(rooted.config["modules"]).toMatchObject({
      "layers.0.query": { scaling: 3 / Math.SQRT2 },
      "layers.1.query": { scaling: 8 },
    });
    // "ayer.1…" is no whole part of a path.
    const wrong = peft({ ...config, rank_pattern: { "ayer.1.attention.self.query": 4 } }, tensors);
    await expectRejection(wrong, "BAD_WEIGHTS", /layer\.1\.attention\.self\.query\.lora_A is \[4, 6\], not \[2, in\]/);
  });

  it("gives the three maps of c_attn one A and a third of B, of magnitudes and of biases", async () => {
    const path = "transformer.h.0.attn.c_attn";
    const read = await peft(
      { ...loraConfig, use_dora: true, lora_bias: true, fan_in_fan_out: true },
      {
        ...lora(path, 0, R, 3 * D),
        [`base_model.model.${path}.lora_magnitude_vector`]: counting([3 * D], 7),
        [`base_model.model.${path}.lora_B.bias`]: counting([3 * D], 9),
      },
    );
    for (const [index, map] of ["query", "key", "value"].entries()) {
      const first = (tail: string): number | undefined => read.tensors.get(`layers.0.${map}.${tail}`)?.data[0];
      expect(first("lora_A")).toBe(0);
      expect(first("lora_B")).toBe(100 + (index * D * R) / 8);
      expect(first("m.weight")).toBe(7 + (index * D) / 8);
      expect(first("lora_bias")).toBe(9 + (index * D) / 8);
      expect(read.tensors.get(`layers.0.${map}.m.weight`)?.shape).toEqual([D, 1]);
    }
  });

  it("accepts the older spelling of magnitudes and the adapter's name in keys", async () => {
    const read = await peft(
      { ...loraConfig, use_dora: true },
      {
        [`base_model.model.${query}.lora_A.default.weight`]: counting([R, D]),
        [`base_model.model.${query}.lora_B.default.weight`]: counting([D, R]),
        [`base_model.model.${query}.lora_magnitude_vector.weight`]: counting([D]),
      },
    );
    expect([...read.tensors.keys()].sort()).toEqual(
      ["lora_A", "lora_B", "m.weight"].map((tail) => `layers.0.query.${tail}`),
    );
  });

  it("lists every module that does not fit", async () => {
    const { [`base_model.model.${query}.lora_A.weight`]: _, ...half } = lora(query);
    const key = "bert.encoder.layer.0.attention.self.key";
    await expectRejection(
      peft({ ...loraConfig, use_dora: true }, { ...half, ...lora(key, 0, 3) }),
      "BAD_WEIGHTS",
      /self\.key\.lora_A is \[3, 6\], not \[2, in\]; .*lora_B is \[6, 3\].*; .*lacks magnitude.*; .*self\.query lacks lora_A/,
    );
    const odd = peft(loraConfig, lora("h.0.attn.c_attn", 0, R, 4));
    await expectRejection(odd, "BAD_WEIGHTS", /4 rows for 3 maps/);
    const twice = peft(loraConfig, { ...lora(query), ...lora("encoder.layer.0.attention.self.query") });
    await expectRejection(twice, "BAD_WEIGHTS", /adapts layers\.0\.query, which another module adapts already/);
  });
});

describe("IA³", () => {
  const config = { peft_type: "IA3", target_modules: ["key", "output.dense"], feedforward_modules: ["output.dense"] };
  const key = "base_model.model.bert.encoder.layer.2.attention.self.key.ia3_l";
  const dense = "base_model.model.bert.encoder.layer.2.output.dense.ia3_l";

  it("multiplies outputs, and inputs of feed-forward modules", async () => {
    const read = await peft(config, { [key]: counting([D, 1]), [dense]: counting([1, 4], 3) });
    const expected = new Map([
      ["layers.2.key.lora_B", counting([D, 1])],
      ["layers.2.down.ia3_in", counting([4], 3)],
    ]);
    expect(allBits(read.tensors)).toEqual(allBits(expected));
    expect(read.config).toEqual({
      peft_type: "IA3",
      modules: { "layers.2.key": { input: false }, "layers.2.down": { input: true } },
    });
  });

  it("splits the vector of c_attn", async () => {
    const read = await peft(
      { peft_type: "IA3" },
      { "base_model.model.transformer.h.0.attn.c_attn.ia3_l": counting([3 * D, 1]) },
    );
    expect(read.tensors.get("layers.0.value.lora_B")).toEqual(expect.objectContaining({ shape: [D, 1] }));
    expect(read.tensors.get("layers.0.value.lora_B")?.data[0]).toBe((2 * D) / 8);
  });

  it("refuses vectors on the wrong side", async () => {
    const read = peft(config, { [key]: counting([1, D]), [dense]: counting([4, 1]) });
    await expectRejection(
      read,
      "BAD_WEIGHTS",
      /key\.ia3_l is \[1, 6\], not \[out, 1\]; .*dense\.ia3_l is \[4, 1\], not \[1, in\]/,
    );
  });
});

describe("prefix and prompt tuning", () => {
  const common = { num_virtual_tokens: 3, token_dim: D, num_transformer_submodules: 1, num_attention_heads: 2 };
  const prefix = {
    ...common,
    peft_type: "PREFIX_TUNING",
    num_layers: 2,
    encoder_hidden_size: 9,
    prefix_projection: true,
  };
  const prompt = { ...common, peft_type: "PROMPT_TUNING", num_layers: 2, prompt_tuning_init: "RANDOM" };

  it("keep the file's layout", async () => {
    const one = await peft(prefix, { prompt_embeddings: counting([3, 4 * D]) });
    expect(allBits(one.tensors)).toEqual(allBits(new Map([["prefix.embeddings", counting([3, 4 * D])]])));
    expect(one.config).toMatchObject({ num_virtual_tokens: 3, num_layers: 2, token_dim: D });
    expect(one.hiddenSize).toBe(D);
    const other = await peft(prompt, { prompt_embeddings: counting([3, D]) });
    expect(allBits(other.tensors)).toEqual(allBits(new Map([["prompt.weight", counting([3, D])]])));
  });

  it("are refused in other shapes or without their numbers", async () => {
    await expectRejection(
      peft(prefix, { prompt_embeddings: counting([3, D]) }),
      "BAD_WEIGHTS",
      /\[3, 6\]; the configuration says \[3, 24\]/,
    );
    await expectRejection(peft(prompt, { x: counting([3, D]) }), "BAD_WEIGHTS", /lacks prompt_embeddings; there: x/);
    await expectRejection(
      peft({ ...prefix, num_layers: null }, {}),
      "BAD_CONFIG",
      /num_layers must be a positive number/,
    );
    await expectRejection(peft({ ...prompt, token_dim: 1.5 }, {}), "BAD_CONFIG", /width is 1\.5/);
    await expectRejection(
      peft({ ...prompt, num_transformer_submodules: 2 }, {}),
      "UNSUPPORTED",
      /num_transformer_submodules 2/,
    );
  });
});

describe("configurations", () => {
  it.each([
    [{ peft_type: "ADALORA" }, "UNSUPPORTED", /peft_type "ADALORA"/],
    [{ peft_type: "toString" }, "UNSUPPORTED", /peft_type "toString"/],
    [{ ...loraConfig, bias: "lora_only" }, "UNSUPPORTED", /bias "lora_only"/],
    [
      { ...loraConfig, init_lora_weights: "pissa", use_qalora: true },
      "UNSUPPORTED",
      /use_qalora, init_lora_weights "pissa"/,
    ],
    [{ ...loraConfig, layer_replication: [[0, 4]] }, "UNSUPPORTED", /layer_replication/],
    [
      { ...loraConfig, use_magic: true, colour: "red", empty: [] },
      "BAD_CONFIG",
      /use_magic \(true\), colour \("red"\)\./,
    ],
    [{ ...loraConfig, r: 0 }, "BAD_CONFIG", /r must be a positive number, not 0/],
    [{ ...loraConfig, r: 1.5 }, "BAD_CONFIG", /rank of .* is 1\.5/],
    [{ ...loraConfig, use_dora: "yes" }, "BAD_CONFIG", /use_dora must be true or false/],
    [{ ...loraConfig, rank_pattern: { "(a+)+$": 2 } }, "UNSUPPORTED", /rank_pattern "\(a\+\)\+\$"/],
    [{ ...loraConfig, alpha_pattern: { a: -1 } }, "BAD_CONFIG", /alpha_pattern: a must be a positive number, not -1/],
    [{ ...loraConfig, modules_to_save: 3 }, "BAD_CONFIG", /modules_to_save must be a list of names/],
  ] as const)("%j", async (config, code, message) => {
    await expectRejection(peft(config, lora(query)), code, message);
  });
});

/** Adapters of every method as PEFT's keys, by the family they are written for. */
const writable: readonly (readonly [string, "bert" | "gpt2" | "t5" | "distilbert", object, Tensors])[] = [
  ["LoRA", "bert", loraConfig, { ...lora(query), ...lora("bert.encoder.layer.1.output.dense", 3) }],
  [
    "LoRA with patterns and rslora",
    "distilbert",
    { ...loraConfig, use_rslora: true, rank_pattern: { k_lin: 3 }, alpha_pattern: { k_lin: 5 } },
    {
      ...lora("distilbert.transformer.layer.0.attention.q_lin"),
      ...lora("distilbert.transformer.layer.10.attention.k_lin", 1, 3),
    },
  ],
  [
    "DoRA with biases on a fused map",
    "gpt2",
    { ...loraConfig, use_dora: true, lora_bias: true, fan_in_fan_out: true },
    {
      ...lora("transformer.h.0.attn.c_attn", 0, R, 3 * D),
      "base_model.model.transformer.h.0.attn.c_attn.lora_magnitude_vector": counting([3 * D], 7),
      "base_model.model.transformer.h.0.attn.c_attn.lora_B.bias": counting([3 * D], 9),
    },
  ],
  ["LoRA without prefix", "t5", loraConfig, lora("encoder.block.0.layer.1.DenseReluDense.wi_1")],
  [
    "IA³",
    "gpt2",
    { peft_type: "IA3", feedforward_modules: ["mlp.c_proj"] },
    {
      "base_model.model.transformer.h.3.attn.c_attn.ia3_l": counting([3 * D, 1]),
      "base_model.model.transformer.h.3.mlp.c_proj.ia3_l": counting([1, 4 * D]),
    },
  ],
  [
    "prefix",
    "bert",
    { peft_type: "PREFIX_TUNING", num_virtual_tokens: 3, token_dim: D, num_layers: 2 },
    { prompt_embeddings: counting([3, 4 * D]) },
  ],
  [
    "prompt",
    "bert",
    { peft_type: "PROMPT_TUNING", num_virtual_tokens: 3, token_dim: D },
    { prompt_embeddings: counting([3, D]) },
  ],
];

describe("written folders", () => {
  it.each(writable)("%s", async (_, family, config, tensors) => {
    const read = await peft(config, tensors);
    for (const weights of ["torch", "safetensors"] as const) {
      const files = writeAdapterFolder(read, { family, name: "", weights, gatedFfn: true });
      const [file, bytes] = [...files][1] as [string, Uint8Array];
      const written = [...readTensorFile(bytes, file).tensors].map(
        ([key, stored]) => [key, { shape: stored.shape, data: toFloat32(stored) }] as const,
      );
      expect(allBits(new Map(written))).toEqual(allBits(new Map(Object.entries(tensors))));
      const again = await readAdapterFolder(memoryFolder(files));
      expect(again.config).toEqual(read.config);
      expect(allBits(again.tensors)).toEqual(allBits(read.tensors));
    }
  });

  it("may leave the base model's prefix out", async () => {
    const bare = lora("encoder.layer.0.attention.self.query");
    const files = writeAdapterFolder(await peft(loraConfig, bare), {
      family: "bert",
      name: "",
      weights: "safetensors",
      bare: true,
    });
    const { tensors } = readTensorFile(files.get("adapter_model.safetensors") ?? new Uint8Array(), "x.safetensors");
    expect([...tensors.keys()].sort()).toEqual(Object.keys(bare).sort());
  });

  it("refuse what PEFT cannot say", () => {
    const options = { family: "gpt2", name: "", weights: "torch" } as const;
    const write = (names: readonly string[], config: object): unknown => {
      const tensors = new Map(names.map((name, index) => [name, counting([R, D], index)] as const));
      return writeAdapterFolder({ format: "peft", config: { ...config }, tensors, hiddenSize: null }, options);
    };
    const config = { peft_type: "LORA", modules: {} };
    expectError(
      () => write(["prefix.wte.weight", "layers.0.query.gate.bias"], config),
      "BAD_INPUT",
      /2 tensors: prefix\.wte\.weight, layers/,
    );
    const apart = ["query", "key", "value"].map((map) => `layers.0.${map}.lora_A`);
    expectError(() => write(apart, config), "UNSUPPORTED", /c_attn as one map/);
    expectError(() => write(["layers.0.query.lora_A"], config), "UNSUPPORTED", /c_attn as one map/);
    expectError(() => write(["layers.0.up.lora_A"], config), "BAD_INPUT", /layers\.0\.up/);
    expectError(() => write([], { peft_type: "PROMPT_TUNING" }), "BAD_INPUT", /lacks prompt\.weight/);
  });
});
