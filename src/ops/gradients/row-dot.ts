/** @file y[r] = x[r] · w, or x[r] · w[r]: ∂x[r] = ∂y[r] w, ∂w = Σ ∂y[r] x[r], or row by row. */

import type { GradientRule } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { matmul } from "../matmul.ts";
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
  const outer = (): typeof dy => {
    // ∂y wᵀ: a product with one inner column.
    const column = b.reshape(dy, [...dy.type.shape, 1]);
    return b.op(matmul, { x: column, w: b.reshape(w, [...w.type.shape, 1]) }, {}).y as typeof dy;
  };
  return {
    ...(call.wants("x") ? { x: outer() } : {}),
    ...(call.wants("w") ? { w: b.op(sumRows, { x, weight: dy }, {}).y } : {}),
  };
};
