/** @file ∂predictions of squared differences. */

import type { GradientRule } from "../gradient.ts";
import { gradientOf } from "../gradient.ts";
import { squaredErrorGradient } from "../squared-error-gradient.ts";
import { refuseWanted } from "./refuse-wanted.ts";

/** Of `squared-error`. Targets are given. */
export const squaredErrorRule: GradientRule = (b, call) => {
  refuseWanted("squared-error", call, "targets");
  const dy = gradientOf(call, "losses");
  return { predictions: b.op(squaredErrorGradient, { ...call.inputs, dy }, {}).dpredictions };
};
