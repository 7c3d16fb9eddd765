/**
 * @file y[r] = x[rows[r]], or `fill` where the index points nowhere: ∂x is the sum of the rows of ∂y that were read from each place, of a
 * trained slot that of its rows; ∂fill the sum of the rows that were read from nowhere.
 */

import { EngineError } from "../../errors.ts";
import { fill } from "../fill.ts";
import { gatherRows } from "../gather-rows.ts";
import type { BackwardCall, Builder, Gradient, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { sumRows } from "../sum-rows.ts";
import { scatterRows } from "./scatter-rows.ts";
import { ofSlot } from "./slot-rows.ts";

/**
 * Of `gather-rows`.
 * @throws EngineError UNSUPPORTED for a trained slot whose rows the device finds
 */
export const gatherRowsRule: GradientRule = (b, call) => ({
  ...(call.wants("x") ? { x: sourceGradient(b, call) } : {}),
  ...(call.wants("fill") ? { fill: fillGradient(b, call) } : {}),
});

function sourceGradient(b: Builder, call: BackwardCall): Gradient {
  const rows = inputOf(call, "rows");
  if (call.slotOf("x") !== null && !b.given(rows))
    throw new EngineError("UNSUPPORTED", "gather-rows: rows that the device finds are of a slot that is trained", {
      where: "gather-rows.x",
      fix: "train the whole parameter",
    });
  return ofSlot(call, "x", (range) => scatterRows(b, gradientOf(call), rows, inputOf(call, "x"), range));
}

/** Which rows were missing: those that are 1 when zeros are read, and ones stand in. */
function fillGradient(b: Builder, call: BackwardCall): Ref {
  const x = inputOf(call, "x");
  const zeros = b.op(fill, { x }, { value: 0, axes: 1 }).y as Ref;
  const one = b.op(fill, { x }, { value: 1, axes: 0 }).y as Ref;
  const inputs = {
    x: b.reshape(zeros, [...zeros.type.shape, 1]),
    rows: inputOf(call, "rows"),
    fill: b.reshape(one, [1]),
  };
  const missing = b.op(gatherRows, inputs, {}).y as Ref;
  const weight = b.reshape(missing, missing.type.shape.slice(0, 1));
  return b.op(sumRows, { x: gradientOf(call), weight }, {}).y as Ref;
}
