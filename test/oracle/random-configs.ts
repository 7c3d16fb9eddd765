/** @file Random configurations: every legal combination of fields may come. */

import type { Config } from "./adapter-files.ts";
import type { Draw } from "./random-draw.ts";
import type { RandomHost } from "./random-host.ts";

/** The kinds that act on linear maps. */
export type LinearKind = "lora" | "ia3" | "dora" | "vera" | "dvora";

const activations = ["relu", "gelu", "gelu_new", "swish", "silu", "quick_gelu", "tanh", "sigmoid", "leakyrelu"];

/** Layers that an adapter leaves out; never all. */
export function drawLeaveOut(draw: Draw, layers: number): number[] {
  return draw.chance(0.3) ? [draw.integer(0, layers - 1)] : [];
}

/**
 * A bottleneck's configuration. Left out, because the library does not define or refuses them: `post_add` on pre-LN hosts or
 * without `original_ln_before`; `original_ln_after: false` without it. Skips of parallel ones, which the library ignores
 * and the engine refuses, stay at their defaults.
 */
export function drawBottleneck(host: RandomHost, draw: Draw, fields: Record<string, unknown>): Config {
  const sites = draw.pick([
    [true, true],
    [true, false],
    [false, true],
  ]);
  const parallel = (fields["is_parallel"] ?? draw.chance(0.25)) === true;
  const before = (fields["original_ln_before"] ?? (!parallel && draw.chance(0.5))) === true;
  const skips: readonly unknown[] = parallel
    ? [true]
    : host.family === "bert" && before
      ? [true, false, "post_add"]
      : [true, false];
  const phm = draw.chance(0.2);
  const inner = draw.pick([1, 2, 4, 8]);
  const factor = host.width / inner;
  const invertible = draw.chance(0.15);
  return {
    mh_adapter: sites[0],
    output_adapter: sites[1],
    cross_adapter: false,
    reduction_factor: phm ? host.width / draw.pick([4, 8]) : draw.pick([factor, { "0": 4, default: factor }]),
    non_linearity: draw.pick(activations),
    original_ln_before: before,
    original_ln_after: !before || draw.chance(0.7),
    ln_before: draw.chance(0.2),
    ln_after: draw.chance(0.2),
    residual_before_ln: draw.pick(skips),
    adapter_residual_before_ln: draw.chance(0.25) && !parallel,
    is_parallel: parallel,
    scaling: draw.pick<unknown>([1, 0.5, 4, "learned", "channel"]),
    use_gating: draw.chance(0.25),
    dropout: draw.pick([0, 0.1]),
    init_weights: "bert",
    init_weights_seed: null,
    leave_out: drawLeaveOut(draw, host.layers),
    inv_adapter: invertible ? "nice" : null,
    inv_adapter_reduction_factor: invertible ? 2 : null,
    stochastic_depth: 0,
    ...drawPhm(draw, phm),
    ...fields,
  };
}

function drawPhm(draw: Draw, phm: boolean): Config {
  return {
    phm_layer: phm,
    phm_dim: 4,
    phm_rank: draw.integer(1, 2),
    phm_bias: draw.chance(0.8),
    factorized_phm_W: draw.chance(0.7),
    // The library cannot make whole shared blocks.
    shared_W_phm: false,
    shared_phm_rule: draw.chance(0.7),
    factorized_phm_rule: draw.chance(0.3),
    learn_phm: true,
    phm_c_init: "normal",
    phm_init_range: 0.0001,
    hypercomplex_nonlinearity: "glorot-uniform",
  };
}

/** LoRA's family. On GPT-2 DoRA stays off the fused matrix. */
export function drawLinear(host: RandomHost, draw: Draw, kind: LinearKind): Config {
  const ia3 = kind === "ia3";
  const vera = kind === "vera" || kind === "dvora";
  const dora = kind === "dora" || kind === "dvora";
  const attention = !(dora && host.family === "gpt2");
  const matrices = draw.subset(["q", "k", "v"], 0.6);
  const gated = !dora && !vera && draw.chance(0.25);
  return {
    architecture: "lora",
    selfattn_lora: attention,
    // VeRA's shared matrices fit maps of the host's width only.
    intermediate_lora: !vera && (!attention || draw.chance(0.5)),
    output_lora: !vera && draw.chance(0.4),
    attn_matrices: matrices.length > 0 ? matrices : ["q", "v"],
    leave_out: drawLeaveOut(draw, host.layers),
    r: ia3 ? 1 : draw.integer(1, 4),
    alpha: ia3 ? 1 : draw.pick([1, 4, 8]),
    dropout: 0,
    init_weights: ia3 ? "ia3" : vera ? "vera" : "lora",
    init_weights_seed: null,
    composition_mode: ia3 ? "scale" : "add",
    use_gating: gated,
    vera_d: vera ? 0.1 : null,
    vera_b: vera ? 0 : null,
    use_dora: dora,
    dtype: null,
  };
}

/** Prefix tuning, flat or through its network, with or without gates. */
export function drawPrefix(draw: Draw, layers: number): Config {
  const gated = draw.chance(0.3);
  return {
    architecture: "prefix_tuning",
    encoder_prefix: true,
    cross_prefix: true,
    leave_out: drawLeaveOut(draw, layers),
    flat: draw.chance(0.5),
    prefix_length: draw.integer(1, 5),
    bottleneck_size: draw.integer(3, 9),
    non_linearity: draw.pick(["tanh", "relu"]),
    dropout: 0,
    use_gating: gated,
    shared_gating: draw.chance(0.5),
    init_weights_seed: null,
  };
}

/** Prompt tuning. */
export function drawPrompt(draw: Draw): Config {
  return {
    architecture: "prompt_tuning",
    prompt_length: draw.integer(1, 4),
    prompt_init: "random_uniform",
    prompt_init_text: null,
    combine: draw.pick(["prefix", "prefix_after_bos"]),
    init_weights_seed: null,
  };
}
