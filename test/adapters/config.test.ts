/** @file Adapter configurations: presets, defaults, parameter counts, and a refusal by name for everything contradictory. */

import { describe, expect, test } from "vitest";
import { toLibraryConfig } from "../../src/adapters/config/library.ts";
import { adapterPresets } from "../../src/adapters/config/presets.ts";
import { readAdapterConfig } from "../../src/adapters/config/read.ts";
import { bottleneckWidth, expectedTensors } from "../../src/adapters/config/shapes.ts";
import type { AdapterHost, BottleneckConfig } from "../../src/adapters/config/types.ts";
import { EngineError } from "../../src/errors.ts";
import type { ErrorCode } from "../../src/errors.ts";

const base: AdapterHost = { layers: 12, width: 768, heads: 12, headWidth: 64, ffnWidth: 3072, normPosition: "post" };
const small: AdapterHost = { layers: 3, width: 24, heads: 3, headWidth: 8, ffnWidth: 40, normPosition: "post" };
const pre: AdapterHost = { ...small, normPosition: "pre" };

type Raw = Readonly<Record<string, unknown>>;

const bottleneck = { mh_adapter: false, output_adapter: true, reduction_factor: 4, non_linearity: "relu" };
const parallel = { ...bottleneck, is_parallel: true };
const phm = { ...bottleneck, phm_layer: true, reduction_factor: 2 };
const lora = { architecture: "lora" };
const prefix = { architecture: "prefix_tuning" };
const prompt = { architecture: "prompt_tuning" };

function parameters(config: string | Raw, host: AdapterHost = base): number {
  const shapes = expectedTensors(readAdapterConfig(config, host), host).values();
  return Array.from(shapes).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

function refusal(config: unknown, host: AdapterHost): EngineError {
  try {
    readAdapterConfig(config as Raw, host);
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(config)} was accepted`);
}

describe("parameter counts with biases (MATHS §2.3)", () => {
  test.each<[string, string | Raw, number]>([
    ["Pfeiffer rf 16", "seq_bn", 894528],
    ["Houlsby preset", "double_seq_bn", 1789056],
    ["size-64 Houlsby", "original_houlsby", 2379264],
    ["parallel rf 2", "par_bn", 7091712],
    ["LoRA r 8, q and v", "lora", 294912],
    ["prefix 30 with MLP", "prefix_tuning", 9872384],
    ["prefix 30 flat", "prefix_tuning_flat", 552960],
    // Table 6: one set of weights of width 48; 73,728 without its 816 biases.
    ["cross-layer sharing", { ...bottleneck, reduction_factor: 16, cross_layer_sharing: true }, 73728 + 48 + 768],
    ["prompt", "prompt_tuning", 10 * 768],
    ["IA³", "ia3", 12 * (768 + 768 + 3072)],
    ["DoRA", "dora", 294912 + 12 * 2 * 768],
  ])("%s", (_, config, count) => expect(parameters(config)).toBe(count));

  test("a union has the tensors of its methods", () => {
    expect(parameters("mam")).toBe(
      parameters({ architecture: "prefix_tuning", bottleneck_size: 800 }) + parameters("par_bn"),
    );
  });

  test("the original Houlsby keeps its width on any host", () => {
    const config = readAdapterConfig("original_houlsby", small);
    expect(expectedTensors(config, small).get("layers.2.attention.adapter_up.weight")).toEqual([24, 64]);
  });
});

describe("tensors", () => {
  const names = (config: string | Raw, host = small): Record<string, readonly number[]> =>
    Object.fromEntries(expectedTensors(readAdapterConfig(config, host), host));

  test("places, left-out layers and reduction maps", () => {
    const config = { ...bottleneck, leave_out: [1], reduction_factor: { "2": 8, default: 3 }, mh_adapter: true };
    const tensors = names({ ...config, scaling: "channel", use_gating: true, ln_before: true });
    expect(Object.keys(tensors).filter((name) => name.startsWith("layers.1."))).toEqual([]);
    expect(tensors).toMatchObject({
      "layers.0.attention.adapter_down.0.weight": [8, 24],
      "layers.2.ffn.adapter_down.0.weight": [3, 24],
      "layers.2.ffn.adapter_norm_before.bias": [24],
      "layers.2.ffn.scaling": [24],
      "layers.2.ffn.gate.weight": [1, 24],
    });
    expect(Object.keys(tensors)).toHaveLength(2 * 2 * 9);
  });

  test.each([
    [768, 0.1, 7679], // Python: 768 // 0.1 is 7679.0, while 768 / 0.1 rounds to 7680
    [768, 0.5, 1536],
    [100, 3, 33],
    [64, 100, 1],
    [7, 2.5, 2],
  ])("%d // %d is %d", (width, reduction_factor, expected) =>
    expect(bottleneckWidth({ reduction_factor, bottleneck_width: null }, width, 0)).toBe(expected),
  );

  test("Compacter: shared and private rules, factors and dense matrices", () => {
    expect(names(phm)).toMatchObject({
      "shared_parameters.phm_rule": [4, 4, 4],
      "layers.0.ffn.adapter_down.0.W_left": [4, 6, 1],
      "layers.0.ffn.adapter_down.0.W_right": [4, 1, 3],
      "layers.0.ffn.adapter_up.b": [24],
    });
    expect(names({ ...phm, shared_phm_rule: false, factorized_phm_rule: true, factorized_phm_W: false })).toMatchObject(
      {
        "layers.0.ffn.adapter_down.0.phm_rule_left": [4, 4, 1],
        "layers.0.ffn.adapter_up.W": [4, 3, 6],
      },
    );
    const shared = names({ ...phm, shared_W_phm: true, phm_rank: 2, phm_bias: false, leave_out: [0, 1, 2] });
    expect(shared).toEqual({
      "shared_parameters.phm_rule": [4, 4, 4],
      "shared_parameters.W_down_left": [4, 6, 2],
      "shared_parameters.W_down_right": [4, 2, 3],
      "shared_parameters.W_up_left": [4, 3, 2],
      "shared_parameters.W_up_right": [4, 2, 6],
    });
  });

  test("NICE splits odd widths as the library does", () => {
    const odd = { ...small, width: 7 };
    const config = { ...bottleneck, inv_adapter: "nice", inv_adapter_reduction_factor: 2 };
    expect(names(config, odd)).toMatchObject({
      "invertible.F.0.weight": [2, 4],
      "invertible.F.2.weight": [3, 2],
      "invertible.G.0.weight": [1, 3],
      "invertible.G.2.weight": [4, 1],
    });
  });

  test("the LoRA family on all maps", () => {
    const all = { attn_matrices: ["q", "k", "v", "o"], intermediate_lora: true, output_lora: true };
    const wide = { ...small, headWidth: 5 };
    expect(names({ ...lora, ...all, r: 2, use_gating: true, use_dora: true }, wide)).toMatchObject({
      "layers.0.query.lora_A": [2, 24],
      "layers.0.query.lora_B": [15, 2],
      "layers.0.proj.lora_A": [2, 15],
      "layers.0.up.m.weight": [40, 1],
      "layers.0.down.gate.weight": [1, 40],
    });
    expect(names("ia3")).toMatchObject({ "layers.2.key.lora_B": [24, 1], "layers.2.up.lora_B": [40, 1] });
    expect(Object.keys(names("ia3")).some((name) => name.endsWith("lora_A"))).toBe(false);
    expect(names("dvora")).toMatchObject({
      "shared_parameters.lora_A": [8, 24],
      "shared_parameters.lora_B": [24, 8],
      "layers.1.value.vera_D": [8, 8],
      "layers.1.value.vera_B": [24, 24],
      "layers.1.value.m.weight": [24, 1],
    });
  });

  test("a prefix counts only the layers that carry it", () => {
    const gated = { ...prefix, leave_out: [0], prefix_length: 5, use_gating: true };
    expect(names({ ...gated, bottleneck_size: 6, shared_gating: false })).toEqual({
      "prefix.wte.weight": [5, 24],
      "prefix.control_trans.0.weight": [6, 24],
      "prefix.control_trans.0.bias": [6],
      "prefix.control_trans.2.weight": [2 * 2 * 24, 6],
      "prefix.control_trans.2.bias": [2 * 2 * 24],
      "layers.1.prefix_gate.weight": [2, 24],
      "layers.1.prefix_gate.bias": [2],
      "layers.2.prefix_gate.weight": [2, 24],
      "layers.2.prefix_gate.bias": [2],
    });
    expect(names({ ...gated, flat: true })["prefix.control_trans"]).toEqual([5 * 2 * 2 * 24]);
  });

  test("sharing between layers leaves one set", () => {
    const config = { ...bottleneck, mh_adapter: true, cross_layer_sharing: true, leave_out: [0] };
    expect(Object.keys(names(config))).toEqual(
      ["attention", "ffn"].flatMap((place) =>
        ["adapter_down.0.weight", "adapter_down.0.bias", "adapter_up.weight", "adapter_up.bias"].map(
          (tail) => `shared.${place}.${tail}`,
        ),
      ),
    );
  });
});

describe("reading", () => {
  const whole = { ...base, layers: 4 };

  test.each(Object.keys(adapterPresets))("the preset %s reads, and reads back from the library's form", (name) => {
    const config = readAdapterConfig(name, whole);
    const written = JSON.parse(JSON.stringify(toLibraryConfig(config, whole)));
    const back = readAdapterConfig(written, whole);
    expect(expectedTensors(back, whole)).toEqual(expectedTensors(config, whole));
    const init = name === "original_houlsby" ? { init_weights: "houlsby" } : {};
    expect(back).toEqual({ ...config, ...init });
  });

  test("a parallel adapter may carry the fields that the library does not read there", () => {
    const unread = { residual_before_ln: false, adapter_residual_before_ln: true, stochastic_depth: 0.1 };
    expect(readAdapterConfig({ ...parallel, ...unread }, small)).toMatchObject({ is_parallel: true, ...unread });
    expect(readAdapterConfig({ ...parallel, residual_before_ln: "post_add" }, pre)).toMatchObject({
      is_parallel: true,
    });
  });

  test("coda is the light path as it was", () => {
    expect(readAdapterConfig("coda", small)).toMatchObject({
      layer_adapter: true,
      is_parallel: true,
      reduction_factor: 12,
      non_linearity: "relu",
      scaling: 1,
      init_weights: "mam_adapter",
      init_weights_seed: 0,
      leave_out: [],
    });
    const shapes = Object.fromEntries(expectedTensors(readAdapterConfig("coda", small), small));
    expect(shapes["layers.2.adapter_down.0.weight"]).toEqual([2, 24]);
    expect(Object.keys(shapes)).toHaveLength(3 * 4);
  });

  test("an older name is the same preset", () => {
    for (const [old, name] of Object.entries({
      pfeiffer: "seq_bn",
      houlsby: "double_seq_bn",
      parallel: "par_bn",
      scaled_parallel: "scaled_par_bn",
      "pfeiffer+inv": "seq_bn_inv",
      "houlsby+inv": "double_seq_bn_inv",
    })) {
      expect(readAdapterConfig(old, base)).toEqual(readAdapterConfig(name, base));
    }
  });

  test("activations: swish is silu and is written as it was given", () => {
    const config = readAdapterConfig({ ...bottleneck, non_linearity: "Swish" }, small) as BottleneckConfig;
    expect(config.non_linearity).toBe("silu");
    expect(toLibraryConfig(config).non_linearity).toBe("Swish");
    expect((readAdapterConfig("houlsby", base) as BottleneckConfig).non_linearity).toBe("silu");
    expect(toLibraryConfig(readAdapterConfig("houlsby", base)).non_linearity).toBe("swish");
  });

  test("our fields are written only where they say something", () => {
    expect(Object.keys(toLibraryConfig(readAdapterConfig("seq_bn", base)))).not.toContain("layer_adapter");
    expect(toLibraryConfig(readAdapterConfig("coda", base)).layer_adapter).toBe(true);
  });

  test.each([7, 64, 100, 768])("a fixed width becomes a factor that floors to it on width %d", (width) => {
    for (const bottleneck_width of [1, 3, 64, 999]) {
      const raw = { ...bottleneck, bottleneck_width };
      const host = { ...small, width };
      const { bottleneck_width: _, ...upstream } = toLibraryConfig(readAdapterConfig(raw, host), host);
      const read = readAdapterConfig(upstream, host) as BottleneckConfig;
      expect(bottleneckWidth(read, width, 0)).toBe(bottleneck_width);
    }
  });

  test("unknown fields that are not set are left alone", () => {
    const config = { ...bottleneck, future: null, other: false, list: [], map: {}, text: "" };
    expect(readAdapterConfig(config, small)).toEqual(readAdapterConfig(bottleneck, small));
  });

  test("two bottlenecks of a union may share layers at different places", () => {
    const configs = [bottleneck, { ...bottleneck, mh_adapter: true, output_adapter: false }];
    expect(parameters({ architecture: "union", configs }, small)).toBe(2 * parameters(bottleneck, small));
  });
});

describe("refusals", () => {
  const union = (...configs: unknown[]): Raw => ({ architecture: "union", configs });

  test.each<[string, unknown, AdapterHost?]>([
    // unknown and missing
    ["depth, heads", { ...bottleneck, depth: 3, heads: [1] }],
    ["mh_adapter, output_adapter, reduction_factor, non_linearity", {}],
    ["reduction_factor", { mh_adapter: false, output_adapter: true, non_linearity: "relu" }],
    ["config", 7],
    ["config", null],
    ["architecture", { architecture: "magic" }],
    ["r", { ...prefix, r: 3 }],
    // wrong types
    ["mh_adapter", { ...bottleneck, mh_adapter: 1 }],
    ["output_adapter", { ...bottleneck, output_adapter: "true" }],
    ["output_adapter", { ...bottleneck, output_adapter: null }],
    ["reduction_factor", { ...bottleneck, reduction_factor: 0 }],
    ["reduction_factor", { ...bottleneck, reduction_factor: -2 }],
    ["reduction_factor", { ...bottleneck, reduction_factor: Number.NaN }],
    ["reduction_factor", { ...bottleneck, reduction_factor: true }],
    ["reduction_factor", { ...bottleneck, reduction_factor: "16" }],
    ["reduction_factor", { ...bottleneck, reduction_factor: {} }],
    ["reduction_factor", { ...bottleneck, reduction_factor: { first: 2, default: 4 } }],
    ["reduction_factor", { ...bottleneck, reduction_factor: { "0": 2, default: -4 } }],
    ["reduction_factor", { ...bottleneck, reduction_factor: { "0": 2, "1": 4 } }],
    ["reduction_factor", { ...bottleneck, reduction_factor: { "3": 2, default: 4 } }],
    ["reduction_factor", { ...bottleneck, reduction_factor: 1e-300 }],
    ["non_linearity", { ...bottleneck, non_linearity: "mish" }],
    ["non_linearity", { ...bottleneck, non_linearity: null }],
    ["non_linearity", { ...bottleneck, non_linearity: "toString" }],
    ["scaling", { ...bottleneck, scaling: true }],
    ["scaling", { ...bottleneck, scaling: "4.0" }],
    ["scaling", { ...bottleneck, scaling: Infinity }],
    ["residual_before_ln", { ...bottleneck, residual_before_ln: "pre_add" }],
    ["dropout", { ...bottleneck, dropout: 1 }],
    ["init_weights", { ...bottleneck, init_weights: "xavier" }],
    ["init_weights_seed", { ...bottleneck, init_weights_seed: 1.5 }],
    ["leave_out", { ...bottleneck, leave_out: 1 }],
    ["leave_out", { ...bottleneck, leave_out: [-1] }],
    ["leave_out", { ...bottleneck, leave_out: ["0"] }],
    ["bottleneck_width", { ...bottleneck, bottleneck_width: 0 }],
    ["inv_adapter", { ...bottleneck, inv_adapter: "real_nvp" }],
    ["hypercomplex_nonlinearity", { ...phm, hypercomplex_nonlinearity: "" }],
    // outside the host
    ["leave_out", { ...bottleneck, leave_out: [3] }],
    ["leave_out", { ...lora, leave_out: [1, 99] }],
    ["leave_out", { ...prefix, leave_out: [0, 1, 2] }],
    // contradictions
    ["mh_adapter, output_adapter", { ...bottleneck, output_adapter: false }],
    ["layer_adapter", { ...bottleneck, layer_adapter: true }],
    ["is_parallel", { layer_adapter: true, is_parallel: false }],
    ["original_ln_after", { ...bottleneck, original_ln_after: false }],
    ["original_ln_after", { ...parallel, original_ln_after: false }],
    ["residual_before_ln", { ...bottleneck, residual_before_ln: "post_add" }],
    ["residual_before_ln", { ...bottleneck, residual_before_ln: "post_add", original_ln_before: true }, pre],
    ["original_ln_before", { ...parallel, original_ln_before: true }],
    ["reduction_factor", { ...bottleneck, cross_layer_sharing: true, reduction_factor: { "0": 2, default: 4 } }],
    ["inv_adapter_reduction_factor", { ...bottleneck, inv_adapter: "nice" }],
    ["inv_adapter_reduction_factor", { ...bottleneck, inv_adapter: "nice", inv_adapter_reduction_factor: 13 }],
    ["phm_dim", { ...phm, phm_dim: 5 }],
    ["phm_dim", { ...phm, reduction_factor: 4 }],
    ["init_weights", { ...phm, init_weights: "houlsby" }],
    ["reduction_factor", { ...phm, shared_W_phm: true, reduction_factor: { default: 2 } }],
    // LoRA family
    ["r", { ...lora, r: 0 }],
    ["r", { ...lora, r: 1.5 }],
    ["alpha", { ...lora, alpha: "8" }],
    ["attn_matrices", { ...lora, attn_matrices: ["q", "w"] }],
    ["attn_matrices", { ...lora, attn_matrices: ["q", "q"] }],
    ["attn_matrices", { ...lora, attn_matrices: "qv" }],
    ["attn_matrices", { ...lora, attn_matrices: [] }],
    ["attn_matrices", { ...lora, selfattn_lora: false }],
    ["composition_mode", { ...lora, composition_mode: "multiply" }],
    ["dtype", { ...lora, dtype: "int8" }],
    ["r", { ...adapterPresets.ia3, r: 2 }],
    ["dropout", { ...adapterPresets.ia3, dropout: 0.1 }],
    ["use_dora", { ...adapterPresets.ia3, use_dora: true }],
    ["vera_d", { ...adapterPresets.ia3, vera_d: 0.1 }],
    ["init_weights", { ...adapterPresets.ia3, init_weights: "vera" }],
    ["vera_b", { ...lora, vera_d: 0.1 }],
    ["vera_d", { ...lora, vera_b: 0 }],
    ["vera_d", { ...adapterPresets.vera, intermediate_lora: true }],
    // prefix and prompt
    ["prefix_length", { ...prefix, prefix_length: 0 }],
    ["bottleneck_size", { ...prefix, bottleneck_size: 0 }],
    ["prompt_length", { ...prompt, prompt_length: -1 }],
    ["combine", { ...prompt, combine: "suffix" }],
    ["prompt_init", { ...prompt, prompt_init: "zeros" }],
    ["prompt_init_text", { ...prompt, prompt_init: "from_string" }],
    ["random_uniform_scale", { ...prompt, random_uniform_scale: 0.5 }],
    // unions
    ["configs", { architecture: "union" }],
    ["configs", union()],
    ["configs.0", union("seq_bn")],
    ["configs.0", union(union(bottleneck))],
    ["configs.1.r", union(bottleneck, { ...lora, r: 0 })],
    ["configs.0 and configs.1", union(bottleneck, bottleneck)],
    ["configs.0 and configs.2", union(lora, bottleneck, { ...lora, attn_matrices: ["v"] })],
    ["use_gating", { ...union(bottleneck), use_gating: true }],
  ])("BAD_CONFIG at %s: %j", (where, config, host = small) => {
    const error = refusal(config, host);
    expect([error.code, error.where]).toEqual(["BAD_CONFIG" satisfies ErrorCode, where]);
    expect(error.fix).not.toBe("");
  });

  test.each<[string, unknown]>([
    ["architecture", { architecture: "reft", r: 1 }],
    ["architecture", { architecture: "mtl_lora" }],
    ["loreft", "loreft"],
    ["inv_adapter", { ...bottleneck, inv_adapter: "glow", inv_adapter_reduction_factor: 2 }],
    ["cross_adapter", { ...bottleneck, cross_adapter: true }],
    ["shared_W_phm", { ...phm, shared_W_phm: true, factorized_phm_W: false }],
    ["configs.1.architecture", union(bottleneck, { architecture: "reft" })],
  ])("UNSUPPORTED at %s: %j", (where, config) => {
    const error = refusal(config, small);
    expect([error.code, error.where]).toEqual(["UNSUPPORTED" satisfies ErrorCode, where]);
    expect(error.fix).not.toBe("");
  });

  test.each(["pfeifer", "", "constructor", "__proto__"])(
    "UNKNOWN_NAME for the preset %j lists the known ones",
    (name) => {
      const error = refusal(name, small);
      expect([error.code, error.where]).toEqual(["UNKNOWN_NAME" satisfies ErrorCode, name]);
      expect(error.fix).toContain("seq_bn");
    },
  );
});
