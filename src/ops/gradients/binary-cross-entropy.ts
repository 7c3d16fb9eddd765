/** @file ∂logits of binary cross-entropy. */

import { binaryCrossEntropyGradient } from "../binary-cross-entropy-gradient.ts";
import type { GradientRule } from "../gradient.ts";
import { gradientOf } from "../gradient.ts";
import { refuseWanted } from "./refuse-wanted.ts";

/** Of `binary-cross-entropy`. Targets and the weights of classes are given. */
export const binaryCrossEntropyRule: GradientRule = (b, call) => {
  refuseWanted("binary-cross-entropy", call, "targets", "weights");
  const dy = gradientOf(call, "losses");
  return { logits: b.op(binaryCrossEntropyGradient, { ...call.inputs, dy }, {}).dlogits };
};
