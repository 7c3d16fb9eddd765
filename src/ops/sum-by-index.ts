/** @file The sums of rows that have the same index: the transpose of rows read by index. */

import { counted } from "./cost.ts";
import { elementCount, expectDim, expectTensor, gridOver, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, TensorType } from "./op.ts";
import { itemLibrary } from "./row-launch.ts";
import { rangeRows } from "./row-range.ts";
import type { RowRange } from "./row-range.ts";

/** Attributes of {@link sumByIndex}. */
export interface SumByIndexAttributes extends Attributes, RowRange {}

const STEM = "sum-by-index";
const WORKGROUP = 64;
/** On software adapters four invocations are one vector: rows shared by four have no lane waiting for a longer stretch. */
const QUAD = 4;

/**
 * x[R, D], rows[R] u32, order[R] u32, like[B, …] of any element type, read for its first axis only -> y[B, D] with y[b] the sum of
 * x[r] over the rows with rows[r] = b, in ascending r; zeros where there is none. `order` holds the places of `rows` in ascending
 * order of what they hold, equal ones in their own order. An index past B, such as 0xFFFFFFFF, is left out. With `rowCount` y has that many
 * of the B rows, from `firstRow` on.
 */
export const sumByIndex: Op<SumByIndexAttributes> = {
  stem: STEM,
  infer: ({ x, rows, order, like }, range) => {
    const source = expectTensor(STEM, "x", x, 2);
    const width = staticDim(STEM, "x axis 1", source.shape[1]);
    const count = source.shape[0] as Dim;
    expectDim(STEM, "rows axis 0", expectTensor(STEM, "rows", rows, 1, ["u32"]).shape[0], count);
    expectDim(STEM, "order axis 0", expectTensor(STEM, "order", order, 1, ["u32"]).shape[0], count);
    const { shape } = expectTensor(STEM, "like", like, Math.max(like?.shape.length ?? 0, 1), ["f32", "u32", "f16"]);
    return { y: { shape: [rangeRows(STEM, "like", shape[0] as Dim, range), width], element: "f32" } };
  },
  cost: ({ inputs, outputs }, size) => {
    const { like: _, ...read } = inputs;
    const flops = elementCount(inputs.x as TensorType, size);
    return counted({ other: flops }, trafficBytes({ inputs: read, outputs, attributes: {} }, size));
  },
  // A target's stretch of the order is searched by each invocation: it costs less than a barrier.
  variants: ({ outputs }, device) => {
    const lanes = (most: number): string => `lanes-${Math.min(most, lanesFor(outputs.y?.shape[1] as number))}`;
    const [own, other] = device.software ? [QUAD, WORKGROUP] : [WORKGROUP, QUAD];
    return [...new Set([lanes(own), lanes(other)])];
  },
  launch: ({ inputs, outputs, attributes: { firstRow = 0 } }, variant) => {
    const [targets, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    const lanes = Number(variant.slice("lanes-".length));
    const { grid, grid_width } = gridOver(targets, WORKGROUP / lanes);
    return [
      {
        kernel: STEM,
        constants: { WIDTH: width, LANES: lanes, WORKGROUP },
        libs: [itemLibrary(width)],
        uniform: { rows: inputs.x?.shape[0] as Dim, targets, grid_width, first_row: firstRow },
        grid,
      },
    ];
  },
};

/** The least power of two of lanes that covers a row, at most {@link WORKGROUP}. */
function lanesFor(width: number): number {
  const items = width % 4 === 0 ? width / 4 : width;
  let lanes = 1;
  while (lanes < items && lanes < WORKGROUP) lanes *= 2;
  return lanes;
}
