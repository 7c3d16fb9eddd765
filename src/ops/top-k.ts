/** @file The rows with the k largest scores of every segment, ascending; ties go to the lower row. */

import { elementCount, foldGrid, runtimeDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Launch, Op, Shape, TensorType } from "./op.ts";
import { expectSelection, segmentLaunch } from "./per-segment.ts";
import { blockVariants, radixLaunches, radixScratch, segmentBlocks } from "./segment-blocks.ts";

/** Attributes of {@link topK}. */
export interface TopKAttributes extends Attributes {
  /** Symbol of the number of selected rows, the last of `selected_segments`; a number where it never changes. */
  readonly count: string | number;
}

const KEY_READS = 7; // a check, four passes of the radix select, one count, one write; each forms a key and compares it

/**
 * scores[R], segments[S + 1], selected_segments[S + 1] -> rows[K] u32 (packed), positions[K] u32 (in the segment),
 * invalid[S + 1] u32: of every segment the lowest packed row whose score is not a number, 0xffffffff for none; the last entry
 * is always 0xffffffff. What is selected of such a segment means nothing, but lies in it. Infinities rank as the numbers they are.
 */
export const topK: Op<TopKAttributes> = {
  stem: "top-k",
  infer: (inputs, { count }) => {
    expectSelection("top-k", inputs);
    const shape: Shape = [typeof count === "number" ? count : runtimeDim(count)];
    const { shape: offsets } = inputs.segments as TensorType;
    return {
      rows: { shape, element: "u32" },
      positions: { shape, element: "u32" },
      invalid: { shape: offsets, element: "u32" },
    };
  },
  cost: (call, size) => ({
    flops: KEY_READS * elementCount(call.inputs.scores as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: (call, device, capacity) => blockVariants(call, device, capacity),
  launch: (call, variant, device, capacity) => {
    const offsets = call.inputs.segments as TensorType;
    // One workgroup more than segments: it writes the last entry of `invalid`.
    const grid: Launch["grid"] = (size) => foldGrid(size(offsets.shape[0] as Dim));
    const blocks = segmentBlocks(call, variant, device, capacity);
    if (blocks === null) return [{ ...segmentLaunch("top-k", variant, offsets), grid }];
    return [
      { ...blocks.short("top-k"), grid },
      ...radixLaunches(blocks, false),
      blocks.launch("top-k.count", { ...radixScratch, counts: 2 }),
      blocks.launch("top-k.place", { ...radixScratch, counts: 2 }),
    ];
  },
};
