/** @file The rows with the k largest scores of every segment, ascending; ties go to the lower row. */

import { elementCount, runtimeDim, trafficBytes } from "./op.ts";
import type { Attributes, Op, Shape, TensorType } from "./op.ts";
import { expectSelection, segmentLaunch, selectionVariants } from "./per-segment.ts";

/** Attributes of {@link topK}. */
export interface TopKAttributes extends Attributes {
  /** Symbol of the number of selected rows, the last of `selected_segments`; a number where it never changes. */
  readonly count: string | number;
}

const KEY_READS = 6; // four passes of the radix select, one count, one write; each forms a key and compares it

/** scores[R], segments[S + 1], selected_segments[S + 1] -> rows[K] u32 (packed), positions[K] u32 (in the segment). */
export const topK: Op<TopKAttributes> = {
  stem: "top-k",
  infer: (inputs, { count }) => {
    expectSelection("top-k", inputs);
    const shape: Shape = [typeof count === "number" ? count : runtimeDim(count)];
    return { rows: { shape, element: "u32" }, positions: { shape, element: "u32" } };
  },
  cost: (call, size) => ({
    flops: KEY_READS * elementCount(call.inputs.scores as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: (call, device, capacity) => selectionVariants(call, device, capacity),
  launch: ({ inputs }, variant) => [segmentLaunch("top-k", variant, inputs.segments as TensorType)],
};
