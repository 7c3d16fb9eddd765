/** @file All case tables. */

import { activationCases } from "./activation.ts";
import { adapterCases } from "./adapter.ts";
import { attentionCases, attentionProbabilitiesCases } from "./attention.ts";
import { countBelowCases } from "./count-below.ts";
import { elementwiseCases } from "./elementwise.ts";
import { embeddingCases } from "./embedding.ts";
import { fillCases } from "./fill.ts";
import { fusionCases } from "./fusion.ts";
import { gatherRowsCases } from "./gather-rows.ts";
import { joinRowsCases } from "./join-rows.ts";
import { layerNormCases } from "./layer-norm.ts";
import { matmulCases } from "./matmul.ts";
import { poolCases } from "./pool.ts";
import { positionScoresCases } from "./position-scores.ts";
import { rmsNormCases } from "./rms-norm.ts";
import { rowDotCases } from "./row-dot.ts";
import { rowPlacesCases } from "./row-places.ts";
import { scaleRowsCases } from "./scale-rows.ts";
import { scatterAddRowsCases } from "./scatter-add-rows.ts";
import { segmentAffineCases } from "./segment-affine.ts";
import { segmentCombineCases } from "./segment-combine.ts";
import { segmentGateCases } from "./segment-gate.ts";
import { softTopKCases } from "./soft-top-k.ts";
import { softTopKGradientCases } from "./soft-top-k-gradient.ts";
import { softmaxCases } from "./softmax.ts";
import { thresholdRowsCases } from "./threshold-rows.ts";
import { topKCases } from "./top-k.ts";
import type { CaseTable } from "./case.ts";

/** The cases of every op. */
export const caseTables: readonly CaseTable[] = [
  activationCases,
  adapterCases,
  attentionCases,
  attentionProbabilitiesCases,
  countBelowCases,
  elementwiseCases,
  embeddingCases,
  fillCases,
  fusionCases,
  gatherRowsCases,
  joinRowsCases,
  layerNormCases,
  matmulCases,
  poolCases,
  positionScoresCases,
  rmsNormCases,
  rowDotCases,
  rowPlacesCases,
  scaleRowsCases,
  scatterAddRowsCases,
  segmentAffineCases,
  segmentCombineCases,
  segmentGateCases,
  softTopKCases,
  softTopKGradientCases,
  softmaxCases,
  thresholdRowsCases,
  topKCases,
];
