/**
 * @file y[r] = weight[rows[r]] x[r]: ∂x[r] = weight[rows[r]] ∂y[r], ∂weight = Σ of ∂y[r] · x[r] over the rows of each weight; of one row that is
 * repeated: ∂x = Σ weight[r] ∂y[r], ∂weight[r] = ∂y[r] · x.
 */

import type { GradientRule } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { rowDot } from "../row-dot.ts";
import { scaleRows } from "../scale-rows.ts";
import type { ScaleRowsAttributes } from "../scale-rows.ts";
import { sumRows } from "../sum-rows.ts";
import { weightGradient } from "./weight-gradient.ts";

/** Of `scale-rows`. */
export const scaleRowsRule: GradientRule<ScaleRowsAttributes> = (b, call) => {
  const { weight, rows } = call.inputs;
  const x = inputOf(call, "x");
  const dy = gradientOf(call);
  if (call.attributes.repeat === true) {
    const width = x.type.shape.slice(1);
    const sum = (): typeof dy => b.op(sumRows, { x: dy, weight }, {}).y as typeof dy;
    return {
      ...(call.wants("x") ? { x: b.reshape(sum(), x.type.shape) } : {}),
      ...(call.wants("weight") ? { weight: b.op(rowDot, { x: dy, w: b.reshape(x, width) }, {}).y } : {}),
    };
  }
  return {
    ...(call.wants("x") ? { x: b.op(scaleRows, { x: dy, weight, rows }, {}).y } : {}),
    ...(call.wants("weight") ? { weight: weightGradient(b, { dy, x, rows, weight: inputOf(call, "weight") }) } : {}),
  };
};
