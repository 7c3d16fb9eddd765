/** @file The probabilities that `attention` weighs its values with, written out because somebody captures them. */

import { attentionConstants, expectAttention, queryRows, scorePairs } from "./attention.ts";
import type { AttentionAttributes } from "./attention.ts";
import { foldGrid, runtimeDim, trafficBytes } from "./op.ts";
import type { Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

/** Attributes of {@link attentionProbabilities}. */
export interface AttentionProbabilitiesAttributes extends AttentionAttributes {
  /** Symbol of the number of probabilities T = Σ over segments of heads · queries · (prefix + keys). */
  readonly count: string;
}

const LANES = 16;

/**
 * The inputs of `attention` -> y[T] f32: per segment [heads, queries, prefix + keys], row-major. Keys that a query may not see
 * have probability 0.
 */
export const attentionProbabilities: Op<AttentionProbabilitiesAttributes> = {
  stem: "attention-probabilities",
  infer: (inputs, attributes) => {
    expectAttention("attention-probabilities", inputs, attributes, ["kAt"]);
    return { y: { shape: [runtimeDim(attributes.count)], element: "f32" } };
  },
  cost: (call, size) => ({
    flops: 2 * call.attributes.heads * call.attributes.headWidth * scorePairs(call, size),
    bytes: trafficBytes(call, size),
  }),
  variants: () => ["portable"],
  launch: (call) => [
    {
      kernel: "attention-probabilities",
      constants: { ...attentionConstants(call), WORKGROUP: LANES },
      uniform: { segments: segmentCount(call.inputs.q_segments as TensorType), queries: queryRows(call) },
      grid: (size) => foldGrid(Math.ceil((size(queryRows(call)) * call.attributes.heads) / LANES)),
    },
  ],
};
