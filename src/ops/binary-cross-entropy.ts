/** @file Binary cross-entropy of logits, for targets that are not exclusive, some of which may be missing. */

import { counted } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { classConstants, expectTargets } from "./loss-inputs.ts";
import { elementCount, trafficBytes } from "./op.ts";
import type { Op, SizeOf, TensorType } from "./op.ts";

const FLOPS_PER_LOGIT = 20; // an exponential, a logarithm by its series, two weighed terms

/**
 * logits[R, C], targets[R, C] from 0 to 1, weights?[C] -> losses[R, C] = −w t ln σ(z) − (1 − t) ln(1 − σ(z)), with w the weight of a class'
 * positive targets, 1 when absent. A target that is NaN is missing and takes no part: its loss is 0.
 */
export const binaryCrossEntropy: Op = {
  stem: "binary-cross-entropy",
  infer: (inputs) => ({ losses: { shape: expectTargets("binary-cross-entropy", inputs), element: "f32" } }),
  cost: (call, size) =>
    counted(
      { other: FLOPS_PER_LOGIT * elementCount(call.outputs.losses as TensorType, size) },
      trafficBytes(call, size),
    ),
  variants: () => ["item"],
  launch: ({ inputs, outputs }) => {
    const items = (size: SizeOf): number => elementCount(outputs.losses as TensorType, size);
    return [
      flatLaunch({ kernel: "binary-cross-entropy", items, constants: classConstants(inputs), uniform: { items } }),
    ];
  },
};
