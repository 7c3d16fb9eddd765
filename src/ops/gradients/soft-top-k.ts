/** @file λ = softtopk(s, k): MATHS §1.3, unrolled or exact, as the operator was told. */

import type { GradientRule } from "../gradient.ts";
import { gradientOf } from "../gradient.ts";
import { softTopKGradient } from "../soft-top-k-gradient.ts";
import type { SoftTopKAttributes } from "../soft-top-k.ts";

/** Of `soft-top-k`. */
export const softTopKRule: GradientRule<SoftTopKAttributes> = (b, call) => {
  const { inputs, outputs, attributes } = call;
  // The closed form is written in the weights, the unrolled one in the scores alone.
  const weights = attributes.mode === "exact" ? outputs.weights : undefined;
  const gradient = gradientOf(call, "weights");
  return { scores: b.op(softTopKGradient, { ...inputs, weights, gradient }, attributes).ds };
};
