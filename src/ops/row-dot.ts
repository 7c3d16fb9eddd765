/** @file The product of every row with one vector: x[R, D] · w[D] -> y[R], such as a router's scores. */

import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowLaunch, rowVariants } from "./row-launch.ts";

/** x[R, D], w[D] -> y[R]. */
export const rowDot: Op = {
  stem: "row-dot",
  infer: ({ x, w }) => {
    const { shape } = expectTensor("row-dot", "x", x, 2);
    const width = staticDim("row-dot", "x axis 1", shape[1]);
    expectDim("row-dot", "w axis 0", expectTensor("row-dot", "w", w, 1).shape[0], width);
    return { y: { shape: [shape[0] as Dim], element: "f32" } };
  },
  cost: (call, size) => ({
    flops: 2 * elementCount(call.inputs.x as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: ({ inputs }, device) => rowVariants(device, inputs.x?.shape[1] as number),
  launch: ({ inputs }, variant) => {
    const [rows, width] = (inputs.x as TensorType).shape as readonly [Dim, number];
    return [rowLaunch({ kernel: "row-dot", variant, width, rows })];
  },
};
