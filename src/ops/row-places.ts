/** @file The places of packed rows in their segments: of rows that were selected block by block, say. */

import { elementCount, expectTensor, foldGrid, trafficBytes } from "./op.ts";
import type { Op, SizeOf, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

const WORKGROUP = 64;

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
    const rows = (size: SizeOf): number => elementCount(outputs.y as TensorType, size);
    const grid = (size: SizeOf): readonly [number, number, number] => foldGrid(Math.ceil(rows(size) / WORKGROUP));
    const segments = segmentCount(inputs.segments as TensorType);
    const uniform = { rows, segments, grid_width: (size: SizeOf) => grid(size)[0] };
    return [{ kernel: "row-places", constants: { WORKGROUP }, uniform, grid }];
  },
};
