/** @file y = act(x): ∂x = ∂y ⊙ act'(x). */

import { activationGradient } from "../activation-gradient.ts";
import type { ActivationAttributes } from "../activation.ts";
import type { GradientRule } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";

/** Of `activation`. */
export const activationRule: GradientRule<ActivationAttributes> = (b, call) => {
  const dy = gradientOf(call);
  if (call.attributes.kind === "identity") return { x: dy };
  return { x: b.op(activationGradient, { x: inputOf(call, "x"), dy }, call.attributes).dx };
};
