/** @file The gradient of an activation function: ∂x = ∂y ⊙ act'(x). At 0 relu has the slope 0, leakyrelu 0.01. */

import { ACTIVATION_FLOPS, activationCode } from "./activation.ts";
import type { ActivationAttributes } from "./activation.ts";
import { itemLaunch, itemSize } from "./item-launch.ts";
import { elementCount, expectDim, expectTensor, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";

const STEM = "activation-gradient";

/** x, dy of one shape -> dx = dy ⊙ kind'(x). */
export const activationGradient: Op<ActivationAttributes> = {
  stem: STEM,
  infer: ({ x, dy }, { kind }) => {
    activationCode(kind);
    const { shape } = expectTensor(STEM, "x", x, x?.shape.length ?? 0);
    const own = expectTensor(STEM, "dy", dy, shape.length).shape;
    own.forEach((dim, axis) => expectDim(STEM, `dy axis ${axis}`, dim, shape[axis] as Dim));
    return { dx: { shape, element: "f32" } };
  },
  cost: (call, size) => ({
    flops: (ACTIVATION_FLOPS + 1) * elementCount(call.outputs.dx as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: () => ["item"],
  launch: ({ outputs, attributes }) => {
    const { shape } = outputs.dx as TensorType;
    const constants = { KIND: activationCode(attributes.kind) };
    return [itemLaunch({ kernel: STEM, shape, values: itemSize(shape), constants })];
  },
};
