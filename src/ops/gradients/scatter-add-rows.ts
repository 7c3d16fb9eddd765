/** @file y = base, y[rows[r]] += weight[rows[r]] x[r]: ∂base = ∂y, ∂x[r] = weight[rows[r]] ∂y[rows[r]], ∂weight[rows[r]] = ∂y[rows[r]] · x[r]. */

import { gatherRows } from "../gather-rows.ts";
import type { GradientRule } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { scaleRows } from "../scale-rows.ts";
import { weightGradient } from "./weight-gradient.ts";

/** Of `scatter-add-rows`. */
export const scatterAddRowsRule: GradientRule = (b, call) => {
  const { weight, rows } = call.inputs;
  const dy = gradientOf(call);
  const gradients = call.wants("base") ? { base: dy } : {};
  if (!call.wants("x") && !call.wants("weight")) return gradients;
  const read = b.op(gatherRows, { x: dy, rows }, {}).y as typeof dy;
  const x = weight === undefined ? read : b.op(scaleRows, { x: read, weight, rows }, {}).y;
  const own = { dy: read, x: inputOf(call, "x"), rows };
  return {
    ...gradients,
    ...(call.wants("x") ? { x } : {}),
    ...(call.wants("weight") ? { weight: weightGradient(b, { ...own, weight: weight as typeof dy }) } : {}),
  };
};
