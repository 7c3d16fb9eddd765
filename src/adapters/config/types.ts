/**
 * @file Adapter configurations after reading: every field present, checked and in the library's spelling (MATHS §2.1, §2.7, §2.8).
 * Fields that the library does not have are marked as ours; they are written to files only where they are set.
 */

import type { ActivationName } from "../../ops/activation.ts";

/** What a configuration must know of its host. */
export interface AdapterHost {
  readonly layers: number;
  /** Hidden width d. */
  readonly width: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly ffnWidth: number;
  readonly normPosition: "pre" | "post";
}

/** How fresh bottleneck weights are drawn. `houlsby_2019` is ours: the deviation 1e-3 of the 2019 code. */
export type BottleneckInit = "bert" | "mam_adapter" | "houlsby" | "houlsby_2019";

/** How fresh weights of the LoRA family are drawn. */
export type LoraInit = "lora" | "bert" | "ia3" | "vera";

/** A reduction factor for all layers, or per layer number with an optional `default`. */
export type ReductionFactor = number | Readonly<Record<string, number>>;

/** Fields that every method has. */
interface Seeded {
  /** Reseeds before every module, so that all modules start identical; null and 0 do not. */
  readonly init_weights_seed: number | null;
}

/** A bottleneck adapter (MATHS §2.1). */
export interface BottleneckConfig extends Seeded {
  readonly architecture: null;
  readonly mh_adapter: boolean;
  readonly output_adapter: boolean;
  readonly cross_adapter: false;
  readonly reduction_factor: ReductionFactor;
  readonly non_linearity: ActivationName;
  /** Ours: `non_linearity` as it was given (`swish` for `silu`), for writing. */
  readonly non_linearity_spelling: string;
  readonly original_ln_before: boolean;
  readonly original_ln_after: boolean;
  readonly ln_before: boolean;
  readonly ln_after: boolean;
  readonly residual_before_ln: boolean | "post_add";
  readonly adapter_residual_before_ln: boolean;
  readonly is_parallel: boolean;
  readonly scaling: number | "learned" | "channel";
  readonly use_gating: boolean;
  readonly dropout: number;
  readonly init_weights: BottleneckInit;
  readonly leave_out: readonly number[];
  readonly inv_adapter: "nice" | null;
  readonly inv_adapter_reduction_factor: number | null;
  readonly phm_layer: boolean;
  readonly phm_dim: number;
  readonly phm_rank: number;
  readonly factorized_phm_W: boolean;
  readonly shared_W_phm: boolean;
  readonly shared_phm_rule: boolean;
  readonly factorized_phm_rule: boolean;
  readonly learn_phm: boolean;
  readonly phm_bias: boolean;
  readonly phm_c_init: "normal" | "uniform";
  readonly phm_init_range: number;
  readonly hypercomplex_nonlinearity: string;
  readonly stochastic_depth: number;
  /** Ours: the adapter sits around the whole layer, where CoDA puts its light path. */
  readonly layer_adapter: boolean;
  /** Ours: one set of weights for all layers. */
  readonly cross_layer_sharing: boolean;
  /** Ours: a fixed bottleneck width in place of `reduction_factor`. */
  readonly bottleneck_width: number | null;
}

/** LoRA, IA³ (`composition_mode: "scale"`), DoRA (`use_dora`) and VeRA (`vera_d`, `vera_b`) (MATHS §2.7). */
export interface LoraConfig extends Seeded {
  readonly architecture: "lora";
  readonly selfattn_lora: boolean;
  readonly intermediate_lora: boolean;
  readonly output_lora: boolean;
  readonly leave_out: readonly number[];
  readonly r: number;
  readonly alpha: number;
  readonly dropout: number;
  readonly attn_matrices: readonly ("q" | "k" | "v" | "o")[];
  readonly composition_mode: "add" | "scale";
  readonly init_weights: LoraInit;
  readonly use_gating: boolean;
  readonly use_dora: boolean;
  readonly vera_d: number | null;
  readonly vera_b: number | null;
  /** Precision of a file's tensors; the engine holds them as f32. */
  readonly dtype: "float32" | "float16" | "bfloat16" | null;
}

/** Prefix tuning (MATHS §2.8). */
export interface PrefixConfig extends Seeded {
  readonly architecture: "prefix_tuning";
  readonly encoder_prefix: boolean;
  readonly cross_prefix: boolean;
  readonly leave_out: readonly number[];
  readonly flat: boolean;
  readonly prefix_length: number;
  readonly bottleneck_size: number;
  readonly non_linearity: ActivationName;
  /** Ours: `non_linearity` as it was given, for writing. */
  readonly non_linearity_spelling: string;
  readonly dropout: number;
  readonly use_gating: boolean;
  readonly shared_gating: boolean;
}

/** Prompt tuning (MATHS §2.8). */
export interface PromptConfig extends Seeded {
  readonly architecture: "prompt_tuning";
  readonly prompt_length: number;
  readonly prompt_init: "random_uniform" | "from_string";
  readonly prompt_init_text: string | null;
  readonly combine: "prefix" | "prefix_after_bos";
}

/** One method: everything but a union. */
export type MethodConfig = BottleneckConfig | LoraConfig | PrefixConfig | PromptConfig;

/** Several methods as one adapter (MAM, UniPELT). */
export interface UnionConfig {
  readonly architecture: "union";
  readonly configs: readonly MethodConfig[];
}

/** The configuration of one adapter. */
export type AdapterConfig = MethodConfig | UnionConfig;
