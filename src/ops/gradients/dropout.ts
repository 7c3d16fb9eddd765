/** @file y = x ⊙ m / (1 − p): ∂x = ∂y ⊙ m / (1 − p), the mask being computed again. */

import type { DropoutAttributes } from "../dropout.ts";
import { dropout } from "../dropout.ts";
import type { GradientRule } from "../gradient.ts";
import { gradientOf } from "../gradient.ts";

/** Of `dropout`. */
export const dropoutRule: GradientRule<DropoutAttributes> = (b, call) => ({
  x: b.op(dropout, { x: gradientOf(call), seed: call.inputs.seed }, call.attributes).y,
});
