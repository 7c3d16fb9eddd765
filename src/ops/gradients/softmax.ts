/** @file y = softmax(x) of rows: ∂x = y ⊙ (∂y − ∂y · y). */

import type { GradientRule } from "../gradient.ts";
import { gradientOf } from "../gradient.ts";
import { softmaxGradient } from "../softmax-gradient.ts";

/** Of `softmax`. */
export const softmaxRule: GradientRule = (b, call) => ({
  x: b.op(softmaxGradient, { y: call.outputs.y, dy: gradientOf(call) }, {}).dx,
});
