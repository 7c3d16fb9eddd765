/** @file y = Σ weight[r] x[r]: ∂x[r] = weight[r] ∂y, ∂weight[r] = x[r] · ∂y. */

import { elementwise } from "../elementwise.ts";
import { fill } from "../fill.ts";
import type { Builder, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { rowDot } from "../row-dot.ts";
import { scaleRows } from "../scale-rows.ts";

/** ∂y in every row. */
function repeated(b: Builder, dy: Ref, like: Ref): Ref {
  const zeros = b.op(fill, { x: like }, { value: 0 }).y;
  return b.op(elementwise, { a: zeros, b: dy }, { operation: "add" }).y as Ref;
}

/** Of `sum-rows`. */
export const sumRowsRule: GradientRule = (b, call) => {
  const dy = gradientOf(call);
  const x = inputOf(call, "x");
  const { weight } = call.inputs;
  const rows = (): Ref => {
    const all = repeated(b, dy, x);
    return weight === undefined ? all : (b.op(scaleRows, { x: all, weight }, {}).y as Ref);
  };
  return {
    ...(call.wants("x") ? { x: rows() } : {}),
    ...(call.wants("weight") ? { weight: b.op(rowDot, { x, w: dy }, {}).y } : {}),
  };
};
