/** @file Softmax of rows: x[R, C] -> y[R, C], the maximum subtracted first. */

import { SOFTMAX_FLOPS, counted } from "./cost.ts";
import { elementCount, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowLaunch, rowVariants } from "./row-launch.ts";

/** x[R, C] -> y[R, C]. */
export const softmax: Op = {
  stem: "softmax",
  infer: ({ x }) => {
    const { shape } = expectTensor("softmax", "x", x, 2);
    return { y: { shape: [shape[0] as Dim, staticDim("softmax", "x axis 1", shape[1])], element: "f32" } };
  },
  cost: (call, size) =>
    counted({ softmax: SOFTMAX_FLOPS * elementCount(call.outputs.y as TensorType, size) }, trafficBytes(call, size)),
  variants: ({ outputs }, device) => rowVariants(device, outputs.y?.shape[1] as number),
  launch: ({ outputs }, variant) => {
    const [rows, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    return [rowLaunch({ kernel: "softmax", variant, width, rows })];
  },
};
