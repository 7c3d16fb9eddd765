/** @file Rows added to places of a base, in place: y[rows[r]] += weight[rows[r]] · x[r]. */

import { elementCount, expectDim, expectTensor, staticDim } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowCopyLaunch, rowCopyVariants } from "./row-copy.ts";

const STEM = "scatter-add-rows";

/**
 * base[B, D], x[R, D], rows[R] u32, weight?[B] -> y[B, D], base updated in place. Rows must be distinct; an index past
 * B, such as 0xFFFFFFFF, is skipped. Without `weight` the rows are added as they are.
 */
export const scatterAddRows: Op = {
  stem: STEM,
  infer: ({ base, x, rows, weight }) => {
    const target = expectTensor(STEM, "base", base, 2);
    const width = staticDim(STEM, "base axis 1", target.shape[1]);
    const source = expectTensor(STEM, "x", x, 2);
    expectDim(STEM, "x axis 1", source.shape[1], width);
    expectDim(STEM, "rows axis 0", expectTensor(STEM, "rows", rows, 1, ["u32"]).shape[0], source.shape[0] as Dim);
    if (weight !== undefined) {
      expectDim(STEM, "weight axis 0", expectTensor(STEM, "weight", weight, 1).shape[0], target.shape[0] as Dim);
    }
    return { y: target };
  },
  // Of base only the rows that are added to are read and written.
  cost: ({ inputs }, size) => {
    const added = elementCount(inputs.x as TensorType, size);
    const weighed = inputs.weight === undefined ? 0 : 1;
    const perRow = size(inputs.rows?.shape[0] as Dim) * (1 + weighed);
    return { flops: added * (1 + weighed), bytes: 4 * (3 * added + perRow) };
  },
  inPlace: () => ({ y: "base" }),
  variants: ({ inputs }) => rowCopyVariants(inputs.x?.shape[1] as number),
  launch: ({ inputs, outputs }, variant) => {
    const [rows, width] = (inputs.x as TensorType).shape as readonly [Dim, number];
    const constants = { HAS_WEIGHT: inputs.weight !== undefined };
    return [
      rowCopyLaunch({
        kernel: STEM,
        variant,
        width,
        rows,
        constants,
        uniform: { targets: outputs.y?.shape[0] as Dim },
      }),
    ];
  },
};
