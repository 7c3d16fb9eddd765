/** @file Every row times its own number, which may lie among those of all rows: y[r] = weight[rows[r]] · x[r]. */

import { EngineError } from "../errors.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, TensorType } from "./op.ts";
import { rowCopyLaunch, rowCopyVariants } from "./row-copy.ts";

/** Attributes of {@link scaleRows}. */
export interface ScaleRowsAttributes extends Attributes {
  /** x is one row, which every number multiplies. */
  readonly repeat?: boolean;
}

/**
 * x[R, D], weight[B], rows?[R] u32 -> y[R, D] = x[r] · weight[rows[r]], or weight[r] without rows; a row past B weighs 0. With `repeat`
 * x[1, D], weight[R] -> y[R, D] = x[0] · weight[r], the outer product.
 */
export const scaleRows: Op<ScaleRowsAttributes> = {
  stem: "scale-rows",
  infer: ({ x, weight, rows }, { repeat = false }) => {
    const source = expectTensor("scale-rows", "x", x, 2);
    const width = staticDim("scale-rows", "x axis 1", source.shape[1]);
    const weights = expectTensor("scale-rows", "weight", weight, 1).shape[0];
    if (repeat) expectOneRow(source, rows);
    const count = (repeat ? weights : source.shape[0]) as Dim;
    if (rows === undefined) expectDim("scale-rows", "weight axis 0", weights, count);
    else expectDim("scale-rows", "rows axis 0", expectTensor("scale-rows", "rows", rows, 1, ["u32"]).shape[0], count);
    return { y: { shape: [count, width], element: "f32" } };
  },
  cost: (call, size) => ({
    flops: elementCount(call.outputs.y as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: ({ outputs }) => rowCopyVariants(outputs.y?.shape[1] as number),
  launch: ({ inputs, outputs, attributes: { repeat = false } }, variant) => {
    const [rows, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    const constants = { HAS_ROWS: inputs.rows !== undefined, REPEAT: repeat };
    const uniform = { weights: inputs.weight?.shape[0] as Dim };
    return [rowCopyLaunch({ kernel: "scale-rows", variant, width, rows, constants, uniform })];
  },
};

/** @throws EngineError SHAPE for what is not repeated */
function expectOneRow({ shape }: TensorType, rows: TensorType | undefined): void {
  expectDim("scale-rows", "x axis 0, which is repeated,", shape[0] as Dim, 1);
  if (rows === undefined) return;
  throw new EngineError("SHAPE", "scale-rows: repeat does not take rows", { where: "scale-rows.rows" });
}
