/** @file Rows by index: y[r] = x[rows[r]]. */

import { expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowCopyLaunch, rowCopyVariants } from "./row-copy.ts";

/** x[A, D], rows[R] u32, fill?[D] -> y[R, D]; an index past A, say 0xFFFFFFFF, gives `fill`, or zeros without it. */
export const gatherRows: Op = {
  stem: "gather-rows",
  infer: ({ x, rows, fill }) => {
    const source = expectTensor("gather-rows", "x", x, 2);
    const width = staticDim("gather-rows", "x axis 1", source.shape[1]);
    const count = expectTensor("gather-rows", "rows", rows, 1, ["u32"]).shape[0] as Dim;
    if (fill !== undefined)
      expectDim("gather-rows", "fill axis 0", expectTensor("gather-rows", "fill", fill, 1).shape[0], width);
    return { y: { shape: [count, width], element: "f32" } };
  },
  cost: (call, size) => ({ flops: 0, bytes: trafficBytes(call, size) }),
  variants: ({ outputs }) => rowCopyVariants(outputs.y?.shape[1] as number),
  launch: ({ inputs, outputs }, variant) => {
    const [rows, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    const constants = { HAS_FILL: inputs.fill !== undefined };
    return [
      rowCopyLaunch({
        kernel: "gather-rows",
        variant,
        width,
        rows,
        constants,
        uniform: { sources: inputs.x?.shape[0] as Dim },
      }),
    ];
  },
};
