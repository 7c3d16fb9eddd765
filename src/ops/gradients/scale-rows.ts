/** @file y[r] = weight[rows[r]] x[r]: ∂x[r] = weight[rows[r]] ∂y[r], ∂weight = Σ of ∂y[r] · x[r] over the rows of each weight. */

import type { GradientRule } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { scaleRows } from "../scale-rows.ts";
import { weightGradient } from "./weight-gradient.ts";

/** Of `scale-rows`. */
export const scaleRowsRule: GradientRule = (b, call) => {
  const { x, weight, rows } = call.inputs;
  const dy = gradientOf(call);
  return {
    ...(call.wants("x") ? { x: b.op(scaleRows, { x: dy, weight, rows }, {}).y } : {}),
    ...(call.wants("weight")
      ? { weight: weightGradient(b, { dy, x: x as typeof dy, rows, weight: inputOf(call, "weight") }) }
      : {}),
  };
};
