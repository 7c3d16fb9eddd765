/** @file The float64 references by their names, and by the stems of their ops. */

import { activation } from "./activation.ts";
import { adapter } from "./adapter.ts";
import { attention } from "./attention.ts";
import { attentionProbabilities } from "./attention-probabilities.ts";
import { countBelow } from "./count-below.ts";
import { elementwise } from "./elementwise.ts";
import { embedding } from "./embedding.ts";
import { fill } from "./fill.ts";
import { fusion } from "./fusion.ts";
import { gatherRows } from "./gather-rows.ts";
import { joinRows } from "./join-rows.ts";
import { layerNorm } from "./layer-norm.ts";
import { matmul } from "./matmul.ts";
import { pool } from "./pool.ts";
import { positionScores } from "./position-scores.ts";
import { rmsNorm } from "./rms-norm.ts";
import { rowDot } from "./row-dot.ts";
import { rowPlaces } from "./row-places.ts";
import { scaleRows } from "./scale-rows.ts";
import { scatterAddRows } from "./scatter-add-rows.ts";
import { segmentAffine } from "./segment-affine.ts";
import { segmentCombine } from "./segment-combine.ts";
import { segmentGate } from "./segment-gate.ts";
import { softTopK } from "./soft-top-k.ts";
import { softTopKGradient } from "./soft-top-k-gradient.ts";
import { softmax } from "./softmax.ts";
import { thresholdRows } from "./threshold-rows.ts";
import { topK } from "./top-k.ts";
import type { ReferenceTensors } from "./tensor.ts";

export {
  activation,
  adapter,
  attention,
  attentionProbabilities,
  countBelow,
  elementwise,
  embedding,
  fill,
  fusion,
  gatherRows,
  joinRows,
  layerNorm,
  matmul,
  pool,
  positionScores,
  rmsNorm,
  rowDot,
  rowPlaces,
  scaleRows,
  scatterAddRows,
  segmentAffine,
  segmentCombine,
  segmentGate,
  softTopK,
  softTopKGradient,
  softmax,
  thresholdRows,
  topK,
};
export type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** The float64 twin of an op. */
export type Reference = (
  inputs: ReferenceTensors,
  attributes: never,
  sizes: Readonly<Record<string, number>>,
) => ReferenceTensors;

/** Every reference by the stem of its op. */
export const references: Readonly<Record<string, Reference>> = {
  activation,
  adapter,
  attention,
  "attention-probabilities": attentionProbabilities,
  "count-below": countBelow,
  elementwise,
  embedding,
  fill,
  fusion,
  "gather-rows": gatherRows,
  "join-rows": joinRows,
  "layer-norm": layerNorm,
  matmul,
  pool,
  "position-scores": positionScores,
  "rms-norm": rmsNorm,
  "row-dot": rowDot,
  "row-places": rowPlaces,
  "scale-rows": scaleRows,
  "scatter-add-rows": scatterAddRows,
  "segment-affine": segmentAffine,
  "segment-combine": segmentCombine,
  "segment-gate": segmentGate,
  "soft-top-k": softTopK,
  "soft-top-k-gradient": softTopKGradient,
  softmax,
  "threshold-rows": thresholdRows,
  "top-k": topK,
};
