/** @file AdapterHub folders of all families, what old files mean, and what is refused. */

import { describe, expect, it } from "vitest";

import { families } from "../../src/formats/adapter-hub/families.ts";
import type { Family } from "../../src/formats/adapter-hub/families.ts";
import { readAdapterFolder } from "../../src/formats/adapter-hub/read-adapter.ts";
import type { PlainTensor, StoredAdapter } from "../../src/formats/adapter-hub/types.ts";
import { writeAdapterFolder } from "../../src/formats/adapter-hub/write-adapter.ts";
import { expectError, expectRejection } from "./expect-error.ts";
import { allBits, counting, memoryFolder, tensorFile } from "./memory-folder.ts";

const WIDTH = 6;

/** An AdapterHub folder: envelope fields, and tensors by key. */
function hub(
  fields: Readonly<Record<string, unknown>>,
  tensors: Readonly<Record<string, PlainTensor>>,
): Promise<StoredAdapter> {
  const envelope = {
    name: "a",
    model_type: "bert",
    hidden_size: WIDTH,
    version: "adapters.1.2.0",
    config: {},
    ...fields,
  };
  return readAdapterFolder(
    memoryFolder([
      ["adapter_config.json", envelope],
      ["adapter.safetensors", tensorFile(tensors)],
    ]),
  );
}

/** Every canonical tensor that an adapter of a family can have, each with values of its own. */
function everything(family: Family): Map<string, PlainTensor> {
  const tensors = new Map<string, PlainTensor>();
  const add = (name: string, ...shape: number[]): unknown => tensors.set(name, counting(shape, tensors.size));
  for (const site of ["layers.0.attention", "layers.11.ffn", "layers.2", "shared.ffn"]) {
    for (const end of [
      "weight",
      "W_left",
      "W_right",
      "W",
      "b",
      "phm_rule",
      "phm_rule_left",
      "phm_rule_right",
      "bias",
    ]) {
      add(`${site}.adapter_down.0.${end}`, 2, WIDTH);
      add(`${site}.adapter_up.${end}`, WIDTH, 2);
    }
    add(`${site}.scaling`, 1);
    for (const part of ["gate", "adapter_norm_after", "adapter_norm_before"]) {
      add(`${site}.${part}.weight`, WIDTH);
      add(`${site}.${part}.bias`, WIDTH);
    }
  }
  for (const map of ["query", "key", "value", "proj", "up", "down"]) {
    for (const tail of ["lora_A", "lora_B", "gate.weight", "gate.bias", "m.weight"])
      add(`layers.3.${map}.${tail}`, 2, WIDTH);
    if (family !== "gpt2") add(`layers.3.${map}.vera_D`, 2, 2);
  }
  add("layers.1.prefix_gate.weight", 2, WIDTH);
  add("layers.1.prefix_gate.bias", 2);
  for (const tail of ["wte.weight", "control_trans.0.weight", "control_trans.0.bias", "control_trans.2.bias"])
    add(`prefix.${tail}`, 3);
  add("prompt.weight", 4, WIDTH);
  for (const half of ["F.0", "F.2", "G.0", "G.2"]) add(`invertible.${half}.weight`, 2, 2);
  for (const tail of ["phm_rule", "phm_rule_left", "W_down_left", "W_up_right", "lora_A", "lora_B"])
    add(`shared_parameters.${tail}`, 2);
  return tensors;
}

const everyMatrix = { architecture: "lora", attn_matrices: ["q", "k", "v"] };

/** Keys as MATHS §3.1 gives them, of the adapter N in layer 3. */
const documentedKeys: readonly (readonly [Family, string, string])[] = [
  ["bert", "bert.encoder.layer.3.attention.output.adapters.N.adapter_up.bias", "layers.3.attention.adapter_up.bias"],
  ["bert", "bert.encoder.layer.3.output.adapters.N.adapter_down.0.weight", "layers.3.ffn.adapter_down.0.weight"],
  ["bert", "bert.shared_parameters.N.phm_rule", "shared_parameters.phm_rule"],
  ["bert", "bert.invertible_adapters.N.F.2.bias", "invertible.F.2.bias"],
  ["bert", "bert.encoder.layer.3.attention.self.key.loras.N.lora_B", "layers.3.key.lora_B"],
  ["bert", "bert.encoder.layer.3.intermediate.dense.loras.N.lora_A", "layers.3.up.lora_A"],
  ["bert", "bert.encoder.layer.3.output.dense.loras.N.m.weight", "layers.3.down.m.weight"],
  ["bert", "bert.prefix_tuning.prefix_tunings.N.self_prefix.wte.weight", "prefix.wte.weight"],
  ["bert", "bert.prefix_tuning.prefix_tunings.N.self_prefix.control_trans", "prefix.control_trans"],
  ["bert", "bert.encoder.layer.3.attention.self.prefix_tuning.prefix_gates.N.weight", "layers.3.prefix_gate.weight"],
  ["bert", "bert.prompt_tuning.prompt_tunings.N.prompt_embedding.weight", "prompt.weight"],
  ["roberta", "roberta.encoder.layer.3.output.adapters.N.scaling", "layers.3.ffn.scaling"],
  [
    "distilbert",
    "distilbert.transformer.layer.3.attention_adapters.adapters.N.gate.bias",
    "layers.3.attention.gate.bias",
  ],
  ["distilbert", "distilbert.transformer.layer.3.output_adapters.adapters.N.adapter_up.b", "layers.3.ffn.adapter_up.b"],
  ["distilbert", "distilbert.transformer.layer.3.attention.v_lin.loras.N.lora_A", "layers.3.value.lora_A"],
  ["distilbert", "distilbert.transformer.layer.3.ffn.lin2.loras.N.lora_A", "layers.3.down.lora_A"],
  ["distilbert", "distilbert.prefix_tuning.prefix_tunings.N.self.control_trans", "prefix.control_trans"],
  ["vit", "vit.encoder.layer.3.attention_adapters.adapters.N.adapter_up.bias", "layers.3.attention.adapter_up.bias"],
  ["vit", "vit.encoder.layer.3.output.output_adapters.adapters.N.adapter_up.bias", "layers.3.ffn.adapter_up.bias"],
  ["vit", "vit.encoder.layer.3.attention.attention.query.loras.N.lora_B", "layers.3.query.lora_B"],
  ["vit", "vit.encoder.layer.3.intermediate.dense.loras.N.lora_B", "layers.3.up.lora_B"],
  ["gpt2", "transformer.h.3.attention_adapters.adapters.N.adapter_up.bias", "layers.3.attention.adapter_up.bias"],
  ["gpt2", "transformer.h.3.output_adapters.adapters.N.adapter_up.bias", "layers.3.ffn.adapter_up.bias"],
  ["gpt2", "transformer.h.3.mlp.c_proj.loras.N.lora_A", "layers.3.down.lora_A"],
  ["t5", "transformer.encoder.block.3.layer.0.adapters.N.adapter_up.bias", "layers.3.attention.adapter_up.bias"],
  ["t5", "encoder.block.3.layer.1.adapters.N.adapter_up.bias", "layers.3.ffn.adapter_up.bias"],
  ["t5", "encoder.block.3.layer.0.SelfAttention.q.loras.N.lora_A", "layers.3.query.lora_A"],
  ["t5", "encoder.block.3.layer.1.DenseReluDense.wi_1.loras.N.lora_A", "layers.3.up.lora_A"],
  ["t5", "encoder.invertible_adapters.N.G.0.weight", "invertible.G.0.weight"],
];

describe("keys", () => {
  it.each(documentedKeys)("%s: %s", async (family, key, canonical) => {
    const tensor = counting([2, WIDTH]);
    // Names of adapters hold dots and whatever else.
    for (const name of ["N", "a.b.loras", "de/wiki@ukp", "adapters"]) {
      const named = key.replace(".N.", `.${name}.`);
      const bare = named.startsWith(families[family].prefix) ? named.slice(families[family].prefix.length) : named;
      for (const spelling of [named, bare]) {
        const read = await hub({ name, model_type: family }, { [spelling]: tensor });
        expect([...read.tensors.keys()]).toEqual([canonical]);
      }
    }
  });

  it.each(Object.keys(families) as Family[])("of everything in %s, there and back", async (family) => {
    const tensors = everything(family);
    const adapter = { format: "hub" as const, config: everyMatrix, tensors, hiddenSize: WIDTH };
    for (const [weights, gatedFfn] of [
      ["torch", false],
      ["safetensors", true],
    ] as const) {
      const files = writeAdapterFolder(adapter, { family, name: "x.y", weights, gatedFfn });
      const again = await readAdapterFolder(memoryFolder(files));
      expect(allBits(again.tensors)).toEqual(allBits(tensors));
      expect(again).toMatchObject({ name: "x.y", family, hiddenSize: WIDTH, config: everyMatrix, unexpected: [] });
    }
  });

  it("lists what it does not know, and the decoder of T5", async () => {
    const tensor = counting([1, WIDTH]);
    const keys = [
      "decoder.block.0.layer.0.adapters.a.adapter_up.bias",
      "encoder.block.0.layer.0.adapters.a.adapter_side.bias",
    ];
    const read = await hub(
      { model_type: "t5" },
      {
        [keys[0] as string]: tensor,
        [keys[1] as string]: tensor,
        "encoder.block.0.layer.0.adapters.a.adapter_up.bias": tensor,
      },
    );
    expect([...read.unexpected].sort()).toEqual(keys);
    expect(read.tensors.size).toBe(1);
  });

  it("leaves other adapters of the file alone", async () => {
    const key = (name: string): string => `bert.encoder.layer.0.output.adapters.${name}.adapter_up.bias`;
    const read = await hub({}, { [key("a")]: counting([WIDTH]), [key("a.b")]: counting([WIDTH], 9) });
    expect(allBits(read.tensors)).toEqual(allBits(new Map([["layers.0.ffn.adapter_up.bias", counting([WIDTH])]])));
    expect(read.left).toEqual([{ name: key("a.b"), reason: 'belongs to "a.b"' }]);
  });

  it("finds name and family where the file does not say them", async () => {
    const key = "distilbert.transformer.layer.0.output_adapters.adapters.only.adapter_up.bias";
    const read = await hub({ name: null, model_type: null }, { [key]: counting([WIDTH]) });
    expect(read).toMatchObject({ name: "only", family: null });
    expect([...read.tensors.keys()]).toEqual(["layers.0.ffn.adapter_up.bias"]);
  });
});

describe("fused query-key-value", () => {
  const base = "transformer.h.0.attn.c_attn.loras.a.";

  it("is split by rows, in the order q, k, v", async () => {
    const config = { architecture: "lora", attn_matrices: ["v", "q"] };
    const read = await hub(
      { model_type: "gpt2", config },
      {
        [`${base}lora_A`]: counting([4, WIDTH]),
        [`${base}lora_B`]: counting([12, 2]),
        [`${base}gate.weight`]: counting([2, WIDTH]),
        [`${base}gate.bias`]: counting([2]),
      },
    );
    const values = (name: string): number[] => [...(read.tensors.get(name)?.data ?? [])];
    expect(read.tensors.get("layers.0.value.lora_A")?.shape).toEqual([2, WIDTH]);
    expect(values("layers.0.query.lora_A")[0]).toBe(0);
    expect(values("layers.0.value.lora_A")[0]).toBe((2 * WIDTH) / 8);
    expect(values("layers.0.value.lora_B")[0]).toBe(12 / 8);
    expect(read.tensors.get("layers.0.value.gate.weight")?.shape).toEqual([1, WIDTH]);
    expect(values("layers.0.value.gate.bias")).toEqual([1 / 8]);
  });

  it("refuses rows that do not divide, and VeRA", async () => {
    const config = { architecture: "union", configs: [{ architecture: "lora", attn_matrices: ["q", "k", "v"] }] };
    const odd = hub({ model_type: "gpt2", config }, { [`${base}lora_A`]: counting([4, WIDTH]) });
    await expectRejection(odd, "BAD_WEIGHTS", /3 matrices of attn_matrices: layers\.0\.fused\.lora_A \[4, 6\]/);
    const vera = hub({ model_type: "gpt2", config }, { [`${base}vera_D`]: counting([3, 3]) });
    await expectRejection(vera, "UNSUPPORTED", /VeRA/);
  });

  it("is not written by halves", () => {
    const tensors = new Map([["layers.0.query.lora_A", counting([2, WIDTH])]]);
    const adapter = { format: "hub" as const, config: everyMatrix, tensors, hiddenSize: WIDTH };
    const options = { family: "gpt2", name: "a", weights: "torch" } as const;
    expectError(
      () => writeAdapterFolder(adapter, options),
      "BAD_WEIGHTS",
      /layers\.0\.query\.lora_A lacks counterparts/,
    );
  });
});

describe("norms that stand twice", () => {
  const site = "bert.encoder.layer.0.output.adapters.a.";
  const norm = { [`${site}adapter_norm_before.weight`]: counting([WIDTH]) };
  const linear = { [`${site}adapter_down.1.weight`]: counting([2, WIDTH], 5) };

  it("are taken once", async () => {
    const read = await hub({}, { ...norm, ...linear, [`${site}adapter_down.0.weight`]: counting([WIDTH]) });
    expect([...read.tensors.keys()].sort()).toEqual([
      "layers.0.ffn.adapter_down.0.weight",
      "layers.0.ffn.adapter_norm_before.weight",
    ]);
    expect(read.tensors.get("layers.0.ffn.adapter_down.0.weight")?.data[0]).toBe(5);
    expect(read.left).toHaveLength(1);
  });

  it("must be equal, the sign of zero included", async () => {
    const copy = counting([WIDTH]);
    copy.data[0] = -0;
    const read = hub({}, { ...norm, ...linear, [`${site}adapter_down.0.weight`]: copy });
    await expectRejection(
      read,
      "BAD_WEIGHTS",
      /should be equal and are not: layers\.0\.ffn\.adapter_down\.0\.weight and/,
    );
  });

  it("may stand there once, as the first of the two", async () => {
    const read = await hub({}, { ...linear, [`${site}adapter_down.0.weight`]: counting([WIDTH], 3) });
    expect(read.tensors.get("layers.0.ffn.adapter_norm_before.weight")?.data[0]).toBe(3);
  });
});

describe("old files", () => {
  const bias = { "bert.encoder.layer.0.output.adapters.a.adapter_up.bias": counting([WIDTH]) };

  it.each([
    ["gelu", "gelu_new"],
    ["gelu_orig", "gelu"],
    ["relu", "relu"],
  ])("without a version mean by %s what is %s now", async (old, now) => {
    expect((await hub({ version: null, config: { non_linearity: old } }, bias)).config["non_linearity"]).toBe(now);
    expect((await hub({ config: { non_linearity: old } }, bias)).config["non_linearity"]).toBe(old);
  });

  it.each([
    ["adapters.1.0.1", 4],
    ["adapters.0.9", 4],
    ["adapters.1.1.0.dev0", 4],
    ["adapters.1.1.0", 16],
    ["adapters.1.10.0", 16],
    ["3.2.1", 16],
    [null, 16],
  ])("of version %s have a LoRA alpha of %d", async (version, alpha) => {
    const lora = { architecture: "lora", r: 4, alpha: 16 };
    expect((await hub({ version, config: lora }, bias)).config["alpha"]).toBe(alpha);
    const union = await hub({ version, config: { architecture: "union", configs: [lora] } }, bias);
    expect(union.config["configs"]).toMatchObject([{ alpha }]);
  });

  it("nest the invertible adapter, and list some without weights", async () => {
    const config = { invertible_adapter: { block_type: "nice", reduction_factor: 2 } };
    const inverse = { ...bias, "bert.invertible_lang_adapters.a.F.0.weight": counting([2, 3]) };
    const kept = await hub({ version: null, config }, inverse);
    expect(kept.config).toEqual({ inv_adapter: "nice", inv_adapter_reduction_factor: 2 });
    expect(kept.tensors.has("invertible.F.0.weight")).toBe(true);
    const dropped = await hub({ version: null, config }, bias);
    expect(dropped.config).toEqual({ inv_adapter: null, inv_adapter_reduction_factor: null });
    expect(dropped.left).toHaveLength(1);
    const modern = await hub({ config: { inv_adapter: "nice" } }, bias);
    expect(modern.config).toEqual({ inv_adapter: "nice" });
  });

  it.each([
    "attention_text_task_adapters",
    "attention_text_lang_adapters",
    "layer_text_task_adapters",
    "layer_text_lang_adapters",
  ])("call adapters %s", async (slot) => {
    const read = await hub({}, { [`bert.encoder.layer.7.output.${slot}.a.adapter_up.bias`]: counting([WIDTH]) });
    expect([...read.tensors.keys()]).toEqual(["layers.7.ffn.adapter_up.bias"]);
  });

  it("may name a preset", async () => {
    const read = await hub({ config: "pfeiffer" }, bias);
    expect(read.config).toEqual({ preset: "pfeiffer" });
    const files = writeAdapterFolder(read, { family: "bert", name: "a", weights: "torch" });
    expect((await readAdapterFolder(memoryFolder(files))).config).toEqual({ preset: "pfeiffer" });
  });
});

describe("what is refused", () => {
  const key = "bert.encoder.layer.0.output.adapters.b.adapter_up.bias";

  it("names the adapters of a file that holds only others", async () => {
    await expectRejection(
      hub({}, { [key]: counting([WIDTH]) }),
      "BAD_WEIGHTS",
      /called "a", but the tensors belong to "b"/,
    );
    const two = { [key]: counting([WIDTH]), [key.replace(".b.", ".c.")]: counting([WIDTH]) };
    await expectRejection(
      hub({ name: null }, two),
      "BAD_WEIGHTS",
      /names no adapter, and the tensors belong to several: "b", "c"/,
    );
  });

  it("lists the keys of a file of something else", async () => {
    const read = hub({}, { "bert.pooler.dense.weight": counting([2]), "classifier.bias": counting([2]) });
    await expectRejection(
      read,
      "BAD_WEIGHTS",
      /none of its 2 tensors .*: bert\.pooler\.dense\.weight, classifier\.bias/,
    );
  });

  it("lists tensors that are no finite floats", async () => {
    const nan = counting([WIDTH]);
    nan.data[3] = Number.NaN;
    await expectRejection(
      hub({}, { [key]: nan }),
      "BAD_WEIGHTS",
      /adapters\.b\.adapter_up\.bias holds NaN or infinity/,
    );
  });

  it("unknown families, by name", async () => {
    await expectRejection(hub({ model_type: "llama" }, {}), "UNSUPPORTED", /"llama"/);
    await expectRejection(hub({ model_type: "constructor" }, {}), "UNSUPPORTED", /"constructor"/);
  });

  it("wrong envelope fields, all of them", async () => {
    const read = hub({ name: 3, hidden_size: "768", version: [] }, {});
    await expectRejection(
      read,
      "BAD_CONFIG",
      /hidden_size must be a count, not "768"; name must be a string, not 3; version must be/,
    );
    await expectRejection(
      hub({ config: 3 }, {}),
      "BAD_CONFIG",
      /"config" must be an object or the name of a preset, not 3/,
    );
    await expectRejection(hub({ config: { invertible_adapter: "nice" } }, {}), "BAD_CONFIG", /invertible_adapter/);
    await expectRejection(hub({ config: { configs: [1] } }, {}), "BAD_CONFIG", /configs\[0\]/);
  });

  it("folders without configuration or weights, saying what is there", async () => {
    await expectRejection(
      readAdapterFolder(memoryFolder([["x.txt", ""]])),
      "NOT_FOUND",
      /adapter_config\.json.*x\.txt/,
    );
    const bare = memoryFolder([["adapter_config.json", { config: {}, model_type: "bert" }]]);
    await expectRejection(readAdapterFolder(bare), "NOT_FOUND", /pytorch_adapter\.bin/);
    const neither = memoryFolder([["adapter_config.json", { hello: 1 }]]);
    await expectRejection(readAdapterFolder(neither), "BAD_CONFIG", /neither AdapterHub's .* nor PEFT's/);
  });

  it("tensors that a family has no key for, all of them", () => {
    const tensors = new Map([
      ["layers.0.query.ia3_in", counting([2])],
      ["layers.0.nowhere", counting([2])],
    ]);
    const write = (): unknown =>
      writeAdapterFolder(
        { format: "hub", config: {}, tensors, hiddenSize: 2 },
        { family: "bert", name: "a", weights: "torch" },
      );
    expectError(write, "BAD_INPUT", /2 tensors: layers\.0\.query\.ia3_in, layers\.0\.nowhere/);
  });
});
