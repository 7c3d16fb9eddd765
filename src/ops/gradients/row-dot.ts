/** @file y[r] = x[r] · w, or x[r] · w[r]: ∂x[r] = ∂y[r] w, ∂w = Σ ∂y[r] x[r], or row by row. */

import type { GradientRule } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { scaleRows } from "../scale-rows.ts";
import { sumRows } from "../sum-rows.ts";

/** Of `row-dot`. */
export const rowDotRule: GradientRule = (b, call) => {
  const dy = gradientOf(call);
  const [x, w] = [inputOf(call, "x"), inputOf(call, "w")];
  if (w.type.shape.length === 2) {
    return {
      ...(call.wants("x") ? { x: b.op(scaleRows, { x: w, weight: dy }, {}).y } : {}),
      ...(call.wants("w") ? { w: b.op(scaleRows, { x, weight: dy }, {}).y } : {}),
    };
  }
  const row = b.reshape(w, [1, ...w.type.shape]);
  return {
    ...(call.wants("x") ? { x: b.op(scaleRows, { x: row, weight: dy }, { repeat: true }).y } : {}),
    ...(call.wants("w") ? { w: b.op(sumRows, { x, weight: dy }, {}).y } : {}),
  };
};
