/** @file The gradient rules by the stem of their op. An op without one stops the backward pass with an error. */

import type { GradientRule } from "../gradient.ts";
import { activationRule } from "./activation.ts";
import { adapterRule } from "./adapter.ts";
import { attentionRule } from "./attention.ts";
import { binaryCrossEntropyRule } from "./binary-cross-entropy.ts";
import { constantRule } from "./constant.ts";
import { crossEntropyRule } from "./cross-entropy.ts";
import { dropoutRule } from "./dropout.ts";
import { elementwiseRule } from "./elementwise.ts";
import { embeddingRule } from "./embedding.ts";
import { fusionRule } from "./fusion.ts";
import { gatherRowsRule } from "./gather-rows.ts";
import { joinRowsRule } from "./join-rows.ts";
import { layerNormRule } from "./layer-norm.ts";
import { matmulRule } from "./matmul.ts";
import { meanOfRule } from "./mean-of.ts";
import { poolRule } from "./pool.ts";
import { rmsNormRule } from "./rms-norm.ts";
import { rowDotRule } from "./row-dot.ts";
import { scaleRowsRule } from "./scale-rows.ts";
import { scatterAddRowsRule } from "./scatter-add-rows.ts";
import { segmentAffineRule } from "./segment-affine.ts";
import { segmentCombineRule } from "./segment-combine.ts";
import { segmentGateRule } from "./segment-gate.ts";
import { softTopKRule } from "./soft-top-k.ts";
import { softmaxRule } from "./softmax.ts";
import { squaredErrorRule } from "./squared-error.ts";
import { sumRowsRule } from "./sum-rows.ts";

/** Every rule by the stem of its op. */
export const gradientRules: Readonly<Record<string, GradientRule<never>>> = {
  activation: activationRule,
  adapter: adapterRule,
  attention: attentionRule,
  "binary-cross-entropy": binaryCrossEntropyRule,
  "cross-entropy": crossEntropyRule,
  dropout: dropoutRule,
  elementwise: elementwiseRule,
  embedding: embeddingRule,
  fill: constantRule,
  fusion: fusionRule,
  "gather-rows": gatherRowsRule,
  "join-rows": joinRowsRule,
  "layer-norm": layerNormRule,
  matmul: matmulRule,
  "mean-of": meanOfRule,
  pool: poolRule,
  "position-scores": constantRule,
  "rms-norm": rmsNormRule,
  "row-dot": rowDotRule,
  "scale-rows": scaleRowsRule,
  "scatter-add-rows": scatterAddRowsRule,
  "segment-affine": segmentAffineRule,
  "segment-combine": segmentCombineRule,
  "segment-gate": segmentGateRule,
  "soft-top-k": softTopKRule,
  softmax: softmaxRule,
  "squared-error": squaredErrorRule,
  "sum-rows": sumRowsRule,
};
