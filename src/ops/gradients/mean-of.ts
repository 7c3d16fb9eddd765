/** @file y = Σ x / n over what takes part: ∂x = ∂y / n there. */

import type { GradientRule } from "../gradient.ts";
import { gradientOf } from "../gradient.ts";
import { meanOfGradient } from "../mean-of-gradient.ts";
import { refuseWanted } from "./refuse-wanted.ts";

/** Of `mean-of`. What takes part is given, and so is the number that `scale` comes of. */
export const meanOfRule: GradientRule = (b, call) => {
  refuseWanted("mean-of", call, "targets");
  const { x, labels, targets } = call.inputs;
  if (call.gradients.y === undefined) return {};
  const inputs = { x, labels, targets, scale: call.outputs.scale, dy: gradientOf(call) };
  return { x: b.op(meanOfGradient, inputs, {}).dx };
};
