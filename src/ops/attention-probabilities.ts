/** @file The probabilities that `attention` weighs its values with, written out because somebody captures them. */

import { attentionBytes, attentionConstants, expectAttention, queryRows } from "./attention.ts";
import type { AttentionAttributes } from "./attention.ts";
import { SOFTMAX_FLOPS, counted } from "./cost.ts";
import { elementCount, foldGrid, runtimeDim } from "./op.ts";
import type { Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

/** Attributes of {@link attentionProbabilities}. */
export interface AttentionProbabilitiesAttributes extends AttentionAttributes {
  /** Symbol of the number of probabilities T = Σ over segments of heads · queries · keys. */
  readonly count: string;
}

const LANES = 16;

/** The inputs of `attention` -> y[T] f32: per segment [heads, queries, keys], row-major. Keys that a query may not see have 0. */
export const attentionProbabilities: Op<AttentionProbabilitiesAttributes> = {
  stem: "attention-probabilities",
  infer: (inputs, attributes) => {
    expectAttention("attention-probabilities", inputs, attributes, ["kAt"]);
    return { y: { shape: [runtimeDim(attributes.count)], element: "f32" } };
  },
  cost: (call, size) => {
    const scores = elementCount(call.outputs.y as TensorType, size);
    const bias = call.inputs.bias === undefined ? 0 : scores;
    return counted(
      { attention: 2 * call.attributes.headWidth * scores, softmax: SOFTMAX_FLOPS * scores, other: bias },
      attentionBytes(call, size, 1),
    );
  },
  variants: () => ["portable"],
  launch: (call) => [
    {
      kernel: "attention-probabilities",
      constants: { ...attentionConstants(call), WORKGROUP: LANES },
      uniform: { segments: segmentCount(call.inputs.q_segments as TensorType) },
      grid: (size) => foldGrid(Math.ceil((size(queryRows(call)) * call.attributes.heads) / LANES)),
    },
  ],
};
