/** @file The rows of every segment whose score is above a threshold, at most as many as it has room for. */

import { EngineError } from "../errors.ts";
import { elementCount, runtimeDim, trafficBytes } from "./op.ts";
import type { Attributes, Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";
import { expectSelection, segmentCount, segmentLaunch, selectionVariants } from "./per-segment.ts";

/** Attributes of {@link thresholdRows}. */
export interface ThresholdRowsAttributes extends Attributes {
  /** A row is selected when its score is greater; rounded to f32. */
  readonly threshold: number;
  /**
   * Symbol of the number of selected rows: the host's size is the room C, the last offset of `capacity_segments`; the device
   * counts the K <= C rows that there are.
   */
  readonly count: string;
}

const KEY_READS = 6; // at most: one count, four passes of the radix select, one write

/**
 * scores[R], segments[S + 1] u32, capacity_segments[S + 1] u32 (offsets; a difference is the most rows of a segment) ->
 * rows[C] u32 (packed) and positions[C] u32 (in the segment), both ascending and packed over the segments, 0xFFFFFFFF from K on;
 * selected_segments[S + 1] u32 offsets; counted[1] u32 = K; invalid[S + 1] u32: the lowest packed row of each segment whose
 * score is NaN, else 0xFFFFFFFF, and 0xFFFFFFFF at the end. A segment with more rows above the threshold than room takes the
 * largest, among equal scores the lower rows. NaN is never selected.
 */
export const thresholdRows: Op<ThresholdRowsAttributes> = {
  stem: "threshold-rows",
  infer: (inputs, { threshold, count }) => {
    expectSelection("threshold-rows", inputs, "capacity_segments");
    const segments = inputs.segments as TensorType;
    if (!Number.isFinite(threshold)) {
      throw new EngineError("BAD_CONFIG", `threshold-rows: threshold is ${threshold}, expected a finite number`, {
        where: "threshold-rows.threshold",
      });
    }
    const selected: TensorType = { shape: [runtimeDim(count)], element: "u32" };
    return {
      rows: selected,
      positions: selected,
      selected_segments: segments,
      counted: { shape: [1], element: "u32" },
      invalid: segments,
    };
  },
  cost: (call, size) => ({
    flops: KEY_READS * elementCount(call.inputs.scores as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: (call, device, capacity) => selectionVariants(call, device, capacity),
  launch: (call, variant, _, capacity) => launches(call, variant, capacity),
  deviceCount: ({ attributes }) => ({ symbol: attributes.count, output: "counted" }),
};

function launches(
  { inputs, attributes }: OpCall<ThresholdRowsAttributes>,
  variant: string,
  capacity: SizeOf,
): readonly Launch[] {
  const segments = inputs.segments as TensorType;
  const scratch = { cuts: 2 * segmentCount(segments)(capacity) };
  const threshold = floatBits(attributes.threshold);
  return [
    { ...segmentLaunch("threshold-rows.count", variant, segments, { threshold }), scratch },
    { ...segmentLaunch("threshold-rows.scan", variant, segments), grid: () => [1, 1, 1] },
    { ...segmentLaunch("threshold-rows", variant, segments), scratch },
  ];
}

function floatBits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0] as number;
}
