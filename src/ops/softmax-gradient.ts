/** @file The gradient of the softmax of rows, from its result: ∂x = y ⊙ (∂y − ∂y · y). */

import { SOFTMAX_FLOPS, counted } from "./cost.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowLaunch, rowVariants } from "./row-launch.ts";

const STEM = "softmax-gradient";

/** y[R, C], dy[R, C] -> dx[R, C]. */
export const softmaxGradient: Op = {
  stem: STEM,
  infer: ({ y, dy }) => {
    const [rows, columns] = expectTensor(STEM, "y", y, 2).shape;
    const width = staticDim(STEM, "y axis 1", columns);
    const own = expectTensor(STEM, "dy", dy, 2).shape;
    expectDim(STEM, "dy axis 0", own[0], rows as Dim);
    expectDim(STEM, "dy axis 1", own[1], width);
    return { dx: { shape: [rows as Dim, width], element: "f32" } };
  },
  cost: (call, size) =>
    counted({ softmax: SOFTMAX_FLOPS * elementCount(call.outputs.dx as TensorType, size) }, trafficBytes(call, size)),
  variants: ({ outputs }, device) => rowVariants(device, outputs.dx?.shape[1] as number),
  launch: ({ outputs }, variant) => {
    const [rows, width] = (outputs.dx as TensorType).shape as readonly [Dim, number];
    return [rowLaunch({ kernel: STEM, variant, width, rows })];
  },
};
