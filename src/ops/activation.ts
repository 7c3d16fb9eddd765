/** @file Activation functions: their names, their codes in shaders, and the op that applies one to every element. */

import { EngineError } from "../errors.ts";
import { itemLaunch, itemSize } from "./item-launch.ts";
import { elementCount, expectTensor, trafficBytes } from "./op.ts";
import type { Op, TensorType } from "./op.ts";

/** Names as configuration files spell them (MATHS §0.3); `swish` and `silu` are one function. */
export type ActivationName =
  | "identity"
  | "relu"
  | "gelu"
  | "gelu_new"
  | "silu"
  | "swish"
  | "quick_gelu"
  | "tanh"
  | "sigmoid"
  | "leakyrelu";

/** Codes that `kernels/lib/activation.wgsl` switches on; adapter slots carry them as data. */
export const activationCodes: Readonly<Record<ActivationName, number>> = {
  identity: 0,
  relu: 1,
  gelu: 2,
  gelu_new: 3,
  silu: 4,
  swish: 4,
  quick_gelu: 5,
  tanh: 6,
  sigmoid: 7,
  leakyrelu: 8,
};

/**
 * The code of a name from outside, such as a configuration file.
 * @throws EngineError UNSUPPORTED listing the known names
 */
export function activationCode(name: string): number {
  if (Object.hasOwn(activationCodes, name)) return activationCodes[name as ActivationName];
  const known = Object.keys(activationCodes).join(", ");
  throw new EngineError("UNSUPPORTED", `unknown activation ${name}`, { where: name, fix: `use one of ${known}` });
}

/** Attributes of `activation`. */
export interface ActivationAttributes {
  readonly kind: ActivationName;
  readonly [name: string]: string | undefined;
}

/** FLOPs of an activation for every element: one evaluation counts as one, since MATHS §1.6 leaves activations out of its terms. */
export const ACTIVATION_FLOPS = 1;

/** x of any shape -> y = kind(x). */
export const activation: Op<ActivationAttributes> = {
  stem: "activation",
  infer: ({ x }, { kind }) => {
    activationCode(kind);
    const { shape } = expectTensor("activation", "x", x, x?.shape.length ?? 0);
    return { y: { shape, element: "f32" } };
  },
  cost: (call, size) => ({
    flops: ACTIVATION_FLOPS * elementCount(call.outputs.y as TensorType, size),
    bytes: trafficBytes(call, size),
  }),
  variants: () => ["item"],
  launch: ({ outputs, attributes }) => {
    const { shape } = outputs.y as TensorType;
    const constants = { KIND: activationCode(attributes.kind) };
    return [itemLaunch({ kernel: "activation", shape, values: itemSize(shape), constants })];
  },
};
