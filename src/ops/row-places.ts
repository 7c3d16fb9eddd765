/** @file The places of packed rows in their segments: of rows that were selected block by block, say. */

import { flatLaunch } from "./item-launch.ts";
import { expectTensor, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

/** rows[R] u32 (packed), segments[S + 1] u32 -> y[R] u32, each row's place from the start of its segment; one past all segments is kept. */
export const rowPlaces: Op = {
  stem: "row-places",
  infer: ({ rows, segments }) => {
    expectTensor("row-places", "segments", segments, 1, ["u32"]);
    return { y: { shape: expectTensor("row-places", "rows", rows, 1, ["u32"]).shape, element: "u32" } };
  },
  cost: (call, size) => ({ flops: 0, bytes: trafficBytes(call, size) }),
  variants: () => ["item"],
  launch: ({ inputs, outputs }) => {
    const rows = outputs.y?.shape[0] as Dim;
    const segments = segmentCount(inputs.segments as TensorType);
    return [flatLaunch({ kernel: "row-places", items: rows, uniform: { rows, segments } })];
  },
};
