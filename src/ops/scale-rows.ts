/** @file Every row times its own number, which may lie among those of all rows: y[r] = weight[rows[r]] · x[r]. */

import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowCopyLaunch, rowCopyVariants } from "./row-copy.ts";

/** x[R, D], weight[B], rows?[R] u32 -> y[R, D] = x[r] · weight[rows[r]], or weight[r] without rows; a row past B weighs 0. */
export const scaleRows: Op = {
  stem: "scale-rows",
  infer: ({ x, weight, rows }) => {
    const source = expectTensor("scale-rows", "x", x, 2);
    const width = staticDim("scale-rows", "x axis 1", source.shape[1]);
    const count = source.shape[0] as Dim;
    const weights = expectTensor("scale-rows", "weight", weight, 1).shape[0];
    if (rows === undefined) expectDim("scale-rows", "weight axis 0", weights, count);
    else expectDim("scale-rows", "rows axis 0", expectTensor("scale-rows", "rows", rows, 1, ["u32"]).shape[0], count);
    return { y: { shape: [count, width], element: "f32" } };
  },
  cost: (call, size) => ({
    flops: elementCount(call.outputs.y as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: ({ outputs }) => rowCopyVariants(outputs.y?.shape[1] as number),
  launch: ({ inputs, outputs }, variant) => {
    const [rows, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    const constants = { HAS_ROWS: inputs.rows !== undefined };
    const uniform = { weights: inputs.weight?.shape[0] as Dim };
    return [rowCopyLaunch({ kernel: "scale-rows", variant, width, rows, constants, uniform })];
  },
};
