/** @file All ops by their names, and by their stems for tables that go through all of them. */

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
import type { Attributes, Op } from "./op.ts";

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
  ].map((op) => [op.stem, op as unknown as Op<Attributes>]),
);
