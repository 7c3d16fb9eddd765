/** @file Softmax of rows: x[R, C] -> y[R, C], the maximum subtracted first. */

import { elementCount, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowLaunch, rowVariants } from "./row-launch.ts";

const FLOPS_PER_ELEMENT = 4; // compare, subtract, exponential, divide

/** x[R, C] -> y[R, C]. */
export const softmax: Op = {
  stem: "softmax",
  infer: ({ x }) => {
    const { shape } = expectTensor("softmax", "x", x, 2);
    return { y: { shape: [shape[0] as Dim, staticDim("softmax", "x axis 1", shape[1])], element: "f32" } };
  },
  cost: (call, size) => ({
    flops: FLOPS_PER_ELEMENT * elementCount(call.outputs.y as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: ({ outputs }, device) => rowVariants(device, outputs.y?.shape[1] as number),
  launch: ({ outputs }, variant) => {
    const [rows, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    return [rowLaunch({ kernel: "softmax", variant, width, rows })];
  },
};
