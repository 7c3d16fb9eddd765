/** @file The product of every row with one vector, such as a router's scores, or with a row of its own, such as squared lengths. */

import { counted } from "./cost.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowLaunch, rowVariants } from "./row-launch.ts";

/** x[R, D], w[D] or [R, D] -> y[R] = x[r] · w, or x[r] · w[r]. */
export const rowDot: Op = {
  stem: "row-dot",
  infer: ({ x, w }) => {
    const { shape } = expectTensor("row-dot", "x", x, 2);
    const width = staticDim("row-dot", "x axis 1", shape[1]);
    const paired = w?.shape.length === 2;
    const vector = expectTensor("row-dot", "w", w, paired ? 2 : 1);
    if (paired) expectDim("row-dot", "w axis 0", vector.shape[0], shape[0] as Dim);
    expectDim("row-dot", `w axis ${paired ? 1 : 0}`, vector.shape.at(-1), width);
    return { y: { shape: [shape[0] as Dim], element: "f32" } };
  },
  cost: (call, size) =>
    counted({ router: 2 * elementCount(call.inputs.x as TensorType, size) }, trafficBytes(call, size)),
  variants: ({ inputs }, device) => rowVariants(device, inputs.x?.shape[1] as number),
  launch: ({ inputs }, variant) => {
    const [rows, width] = (inputs.x as TensorType).shape as readonly [Dim, number];
    const constants = { PAIRED: inputs.w?.shape.length === 2 };
    return [rowLaunch({ kernel: "row-dot", variant, width, rows, constants })];
  },
};
