/** @file Rows by index: y[r] = x[rows[r]]. */

import { EngineError } from "../errors.ts";
import { elementCount, expectDim, expectTensor, staticDim } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowCopyLaunch, rowCopyVariants } from "./row-copy.ts";

/**
 * x[A, D], rows[R] u32, fill?[D] -> y[R, D]; an index past A, say 0xFFFFFFFF, gives `fill`, or zeros without it. Of whole numbers
 * x[A] u32 -> y[R] u32, without `fill`.
 */
export const gatherRows: Op = {
  stem: "gather-rows",
  infer: ({ x, rows, fill }) => {
    const count = expectTensor("gather-rows", "rows", rows, 1, ["u32"]).shape[0] as Dim;
    if (x?.element === "u32") {
      expectTensor("gather-rows", "x", x, 1, ["u32"]);
      if (fill === undefined) return { y: { shape: [count], element: "u32" } };
      throw new EngineError("SHAPE", "gather-rows: there is no fill among whole numbers", {
        where: "gather-rows.fill",
      });
    }
    const source = expectTensor("gather-rows", "x", x, 2);
    const width = staticDim("gather-rows", "x axis 1", source.shape[1]);
    if (fill !== undefined)
      expectDim("gather-rows", "fill axis 0", expectTensor("gather-rows", "fill", fill, 1).shape[0], width);
    return { y: { shape: [count, width], element: "f32" } };
  },
  // Of x only the rows that are asked for are read.
  cost: ({ inputs, outputs }, size) => {
    const fill = inputs.fill === undefined ? 0 : elementCount(inputs.fill, size);
    const copied = elementCount(outputs.y as TensorType, size);
    return { flops: 0, bytes: 4 * (2 * copied + elementCount(inputs.rows as TensorType, size) + fill) };
  },
  variants: ({ outputs }) => (outputs.y?.element === "u32" ? ["u32"] : rowCopyVariants(outputs.y?.shape[1] as number)),
  launch: ({ inputs, outputs }, variant) => {
    const [rows, width = 1] = (outputs.y as TensorType).shape as readonly [Dim, number?];
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
