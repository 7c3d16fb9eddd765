/**
 * @file Presets by name, as the fields that differ from the defaults (MATHS §2.1, §2.7, §2.8). Older names of the library
 * stand beside the current ones; `coda`, `adapter_plus` and `original_houlsby` are names of ours.
 */

import type { RawConfig } from "./fields.ts";

const seqBn = {
  mh_adapter: false,
  output_adapter: true,
  original_ln_before: true,
  non_linearity: "relu",
  reduction_factor: 16,
};
const doubleSeqBn = { mh_adapter: true, output_adapter: true, non_linearity: "swish", reduction_factor: 16 };
const parBn = {
  mh_adapter: false,
  output_adapter: true,
  is_parallel: true,
  non_linearity: "relu",
  reduction_factor: 2,
  init_weights: "mam_adapter",
  scaling: 4,
};
const scaledParBn = { ...parBn, scaling: "learned" };
const nice = { inv_adapter: "nice", inv_adapter_reduction_factor: 2 };
const compacter = { phm_layer: true, reduction_factor: 32, non_linearity: "gelu" };
const prefix = { architecture: "prefix_tuning" };
const lora = { architecture: "lora" };
const vera = { ...lora, vera_d: 0.1, vera_b: 0, init_weights: "vera" };

/** Every preset; a name not in here is not known. */
export const adapterPresets: Readonly<Record<string, RawConfig>> = {
  seq_bn: seqBn,
  pfeiffer: seqBn,
  double_seq_bn: doubleSeqBn,
  houlsby: doubleSeqBn,
  par_bn: parBn,
  parallel: parBn,
  scaled_par_bn: scaledParBn,
  scaled_parallel: scaledParBn,
  seq_bn_inv: { ...seqBn, ...nice },
  "pfeiffer+inv": { ...seqBn, ...nice },
  double_seq_bn_inv: { ...doubleSeqBn, ...nice },
  "houlsby+inv": { ...doubleSeqBn, ...nice },
  compacter: { ...doubleSeqBn, ...compacter },
  "compacter++": { ...seqBn, ...compacter },
  adapter_plus: {
    ...seqBn,
    original_ln_after: false,
    residual_before_ln: false,
    reduction_factor: 96,
    non_linearity: "gelu",
    scaling: "channel",
    init_weights: "houlsby",
    stochastic_depth: 0.1,
  },
  // As in the 2019 code: width 64 whatever the host, which is BERT-base's 768 / 12.
  original_houlsby: {
    ...doubleSeqBn,
    bottleneck_width: 64,
    reduction_factor: 12,
    non_linearity: "gelu_new",
    init_weights: "houlsby_2019",
  },
  coda: { layer_adapter: true },
  prefix_tuning: prefix,
  prefix_tuning_flat: { ...prefix, flat: true },
  prompt_tuning: { architecture: "prompt_tuning" },
  lora,
  ia3: {
    ...lora,
    composition_mode: "scale",
    r: 1,
    alpha: 1,
    attn_matrices: ["k", "v"],
    intermediate_lora: true,
    init_weights: "ia3",
  },
  dora: { ...lora, use_dora: true },
  vera,
  dvora: { ...vera, use_dora: true },
  mam: { architecture: "union", configs: [{ ...prefix, bottleneck_size: 800 }, parBn] },
  unipelt: {
    architecture: "union",
    configs: [
      { ...prefix, prefix_length: 10, use_gating: true },
      { ...seqBn, use_gating: true },
      { ...lora, r: 8, alpha: 2, use_gating: true },
    ],
  },
};
