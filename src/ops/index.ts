/** @file All ops by their names, and by their stems for tables that go through all of them. */

import { activation } from "./activation.ts";
import { activationGradient } from "./activation-gradient.ts";
import { adamw } from "./adamw.ts";
import { adapter } from "./adapter.ts";
import { adapterGradient } from "./adapter-gradient.ts";
import { attention } from "./attention.ts";
import { attentionGradient } from "./attention-gradient.ts";
import { attentionProbabilities } from "./attention-probabilities.ts";
import { binaryCrossEntropy } from "./binary-cross-entropy.ts";
import { binaryCrossEntropyGradient } from "./binary-cross-entropy-gradient.ts";
import { countBelow } from "./count-below.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { crossEntropyGradient } from "./cross-entropy-gradient.ts";
import { dropout } from "./dropout.ts";
import { elementwise } from "./elementwise.ts";
import { embedding } from "./embedding.ts";
import { fill } from "./fill.ts";
import { finiteCheck } from "./finite-check.ts";
import { fusionGradient } from "./fusion-gradient.ts";
import { fusion } from "./fusion.ts";
import { gatherRows } from "./gather-rows.ts";
import { joinRows } from "./join-rows.ts";
import { joinRowsGradient } from "./join-rows-gradient.ts";
import { layerNorm } from "./layer-norm.ts";
import { layerNormGradient } from "./layer-norm-gradient.ts";
import { matmul } from "./matmul.ts";
import { matmulWeightGradient } from "./matmul-weight-gradient.ts";
import { meanOf } from "./mean-of.ts";
import { meanOfGradient } from "./mean-of-gradient.ts";
import { pool } from "./pool.ts";
import { poolGradient } from "./pool-gradient.ts";
import { positionScores } from "./position-scores.ts";
import { positionSums } from "./position-sums.ts";
import { rmsNorm } from "./rms-norm.ts";
import { rmsNormGradient } from "./rms-norm-gradient.ts";
import { rowDot } from "./row-dot.ts";
import { rowPlaces } from "./row-places.ts";
import { scaleRows } from "./scale-rows.ts";
import { scatterAddRows } from "./scatter-add-rows.ts";
import { segmentAffine } from "./segment-affine.ts";
import { segmentCombine } from "./segment-combine.ts";
import { segmentGate } from "./segment-gate.ts";
import { segmentGateGradient } from "./segment-gate-gradient.ts";
import { segmentSums } from "./segment-sums.ts";
import { sgd } from "./sgd.ts";
import { softTopK } from "./soft-top-k.ts";
import { softTopKGradient } from "./soft-top-k-gradient.ts";
import { softmax } from "./softmax.ts";
import { softmaxGradient } from "./softmax-gradient.ts";
import { squaredError } from "./squared-error.ts";
import { squaredErrorGradient } from "./squared-error-gradient.ts";
import { sumByIndex } from "./sum-by-index.ts";
import { sumRows } from "./sum-rows.ts";
import { thresholdRows } from "./threshold-rows.ts";
import { topK } from "./top-k.ts";
import type { Attributes, Op } from "./op.ts";

export {
  activation,
  activationGradient,
  adamw,
  adapter,
  adapterGradient,
  attention,
  attentionGradient,
  attentionProbabilities,
  binaryCrossEntropy,
  binaryCrossEntropyGradient,
  countBelow,
  crossEntropy,
  crossEntropyGradient,
  dropout,
  elementwise,
  embedding,
  fill,
  finiteCheck,
  fusion,
  fusionGradient,
  gatherRows,
  joinRows,
  joinRowsGradient,
  layerNorm,
  layerNormGradient,
  matmul,
  matmulWeightGradient,
  meanOf,
  meanOfGradient,
  pool,
  poolGradient,
  positionScores,
  positionSums,
  rmsNorm,
  rmsNormGradient,
  rowDot,
  rowPlaces,
  scaleRows,
  scatterAddRows,
  segmentAffine,
  segmentCombine,
  segmentGate,
  segmentGateGradient,
  segmentSums,
  softmaxGradient,
  sgd,
  softTopK,
  softTopKGradient,
  softmax,
  squaredError,
  squaredErrorGradient,
  sumByIndex,
  sumRows,
  thresholdRows,
  topK,
};
export type {
  Attributes,
  Cost,
  DeviceCount,
  DeviceTraits,
  Dim,
  ElementType,
  Lack,
  Launch,
  Op,
  OpCall,
  Shape,
  SizeOf,
  TensorType,
} from "./op.ts";

/** Every op by its stem. Attributes are plain data here; each op checks its own. */
export const opsByStem: Readonly<Record<string, Op<Attributes>>> = Object.fromEntries(
  [
    activation,
    activationGradient,
    adamw,
    adapter,
    adapterGradient,
    attention,
    attentionGradient,
    attentionProbabilities,
    binaryCrossEntropy,
    binaryCrossEntropyGradient,
    countBelow,
    crossEntropy,
    crossEntropyGradient,
    dropout,
    elementwise,
    embedding,
    fill,
    finiteCheck,
    fusion,
    fusionGradient,
    gatherRows,
    joinRows,
    joinRowsGradient,
    layerNorm,
    layerNormGradient,
    matmul,
    matmulWeightGradient,
    meanOf,
    meanOfGradient,
    pool,
    poolGradient,
    positionScores,
    positionSums,
    rmsNorm,
    rmsNormGradient,
    rowDot,
    rowPlaces,
    scaleRows,
    scatterAddRows,
    segmentAffine,
    segmentCombine,
    segmentGate,
    segmentGateGradient,
    segmentSums,
    softmaxGradient,
    sgd,
    softTopK,
    softTopKGradient,
    softmax,
    squaredError,
    squaredErrorGradient,
    sumByIndex,
    sumRows,
    thresholdRows,
    topK,
  ].map((op) => [op.stem, op as unknown as Op<Attributes>]),
);
