/** @file The gradient of binary cross-entropy by its logits. */

import { counted } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { classConstants, expectShape, expectTargets } from "./loss-inputs.ts";
import { elementCount, trafficBytes } from "./op.ts";
import type { Op, SizeOf, TensorType } from "./op.ts";

const STEM = "binary-cross-entropy-gradient";
const FLOPS_PER_LOGIT = 10; // an exponential, two quotients, two weighed terms

/** logits[R, C], targets[R, C], weights?[C], dy[R, C] -> dlogits[R, C] = dy ((1 − t) σ(z) − w t σ(−z)), 0 where the target is NaN. */
export const binaryCrossEntropyGradient: Op = {
  stem: STEM,
  infer: (inputs) => {
    const shape = expectTargets(STEM, inputs);
    expectShape(STEM, "dy", inputs.dy, shape);
    return { dlogits: { shape, element: "f32" } };
  },
  cost: (call, size) =>
    counted(
      { other: FLOPS_PER_LOGIT * elementCount(call.outputs.dlogits as TensorType, size) },
      trafficBytes(call, size),
    ),
  variants: () => ["item"],
  launch: ({ inputs, outputs }) => {
    const items = (size: SizeOf): number => elementCount(outputs.dlogits as TensorType, size);
    return [flatLaunch({ kernel: STEM, items, constants: classConstants(inputs), uniform: { items } })];
  },
};
