/** @file All case tables. */

import { activationCases } from "./activation.ts";
import { activationGradientCases } from "./activation-gradient.ts";
import { adamwCases } from "./adamw.ts";
import { adapterCases } from "./adapter.ts";
import { adapterGradientCases } from "./adapter-gradient.ts";
import { attentionGradientCases } from "./attention-gradient.ts";
import { attentionCases, attentionProbabilitiesCases } from "./attention.ts";
import { binaryCrossEntropyCases } from "./binary-cross-entropy.ts";
import { binaryCrossEntropyGradientCases } from "./binary-cross-entropy-gradient.ts";
import { countBelowCases } from "./count-below.ts";
import { crossEntropyCases } from "./cross-entropy.ts";
import { crossEntropyGradientCases } from "./cross-entropy-gradient.ts";
import { dropoutCases } from "./dropout.ts";
import { elementwiseCases } from "./elementwise.ts";
import { embeddingCases } from "./embedding.ts";
import { fillCases } from "./fill.ts";
import { finiteCheckCases } from "./finite-check.ts";
import { fusionGradientCases } from "./fusion-gradient.ts";
import { fusionCases } from "./fusion.ts";
import { gatherRowsCases } from "./gather-rows.ts";
import { joinRowsCases } from "./join-rows.ts";
import { joinRowsGradientCases } from "./join-rows-gradient.ts";
import { layerNormCases } from "./layer-norm.ts";
import { layerNormGradientCases } from "./layer-norm-gradient.ts";
import { matmulCases } from "./matmul.ts";
import { matmulWeightGradientCases } from "./matmul-weight-gradient.ts";
import { meanOfCases } from "./mean-of.ts";
import { meanOfGradientCases } from "./mean-of-gradient.ts";
import { poolCases } from "./pool.ts";
import { poolGradientCases } from "./pool-gradient.ts";
import { positionScoresCases } from "./position-scores.ts";
import { positionSumsCases } from "./position-sums.ts";
import { rmsNormCases } from "./rms-norm.ts";
import { rmsNormGradientCases } from "./rms-norm-gradient.ts";
import { rowDotCases } from "./row-dot.ts";
import { rowPlacesCases } from "./row-places.ts";
import { scaleRowsCases } from "./scale-rows.ts";
import { scatterAddRowsCases } from "./scatter-add-rows.ts";
import { segmentAffineCases } from "./segment-affine.ts";
import { segmentCombineCases } from "./segment-combine.ts";
import { segmentGateCases } from "./segment-gate.ts";
import { segmentGateGradientCases } from "./segment-gate-gradient.ts";
import { segmentSumsCases } from "./segment-sums.ts";
import { sgdCases } from "./sgd.ts";
import { softTopKCases } from "./soft-top-k.ts";
import { softTopKGradientCases } from "./soft-top-k-gradient.ts";
import { softmaxCases } from "./softmax.ts";
import { softmaxGradientCases } from "./softmax-gradient.ts";
import { squaredErrorCases } from "./squared-error.ts";
import { squaredErrorGradientCases } from "./squared-error-gradient.ts";
import { sumByIndexCases } from "./sum-by-index.ts";
import { sumRowsCases } from "./sum-rows.ts";
import { thresholdRowsCases } from "./threshold-rows.ts";
import { topKCases } from "./top-k.ts";
import type { CaseTable } from "./case.ts";

/** The cases of every op. */
export const caseTables: readonly CaseTable[] = [
  activationCases,
  activationGradientCases,
  adamwCases,
  adapterCases,
  adapterGradientCases,
  attentionCases,
  attentionGradientCases,
  attentionProbabilitiesCases,
  binaryCrossEntropyCases,
  binaryCrossEntropyGradientCases,
  countBelowCases,
  crossEntropyCases,
  crossEntropyGradientCases,
  dropoutCases,
  elementwiseCases,
  embeddingCases,
  fillCases,
  finiteCheckCases,
  fusionCases,
  fusionGradientCases,
  gatherRowsCases,
  joinRowsCases,
  joinRowsGradientCases,
  layerNormCases,
  layerNormGradientCases,
  matmulCases,
  matmulWeightGradientCases,
  meanOfCases,
  meanOfGradientCases,
  poolCases,
  poolGradientCases,
  positionScoresCases,
  positionSumsCases,
  rmsNormCases,
  rmsNormGradientCases,
  rowDotCases,
  rowPlacesCases,
  scaleRowsCases,
  scatterAddRowsCases,
  segmentAffineCases,
  segmentCombineCases,
  segmentGateCases,
  segmentGateGradientCases,
  segmentSumsCases,
  softmaxGradientCases,
  sgdCases,
  softTopKCases,
  softTopKGradientCases,
  softmaxCases,
  squaredErrorCases,
  squaredErrorGradientCases,
  sumByIndexCases,
  sumRowsCases,
  thresholdRowsCases,
  topKCases,
];
