/** @file Rows by index from two sources: each row of a source, or of its trained slot, gets the sum of ∂y over what it was joined as. */

import type { BackwardCall, Builder, Gradient, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { joinRowsGradient } from "../join-rows-gradient.ts";
import type { JoinRowsAttributes } from "../join-rows.ts";
import { ofSlot } from "./slot-rows.ts";

/** Of `join-rows`. The host gives the table. */
export const joinRowsRule: GradientRule<JoinRowsAttributes> = (b, call) => ({
  ...(call.wants("a") ? { a: sourceGradient(b, call, "a", call.attributes.aAt) } : {}),
  ...(call.wants("b") ? { b: sourceGradient(b, call, "b", call.attributes.bAt) } : {}),
});

function sourceGradient(b: Builder, call: BackwardCall<unknown>, source: "a" | "b", at: number | undefined): Gradient {
  const rows = inputOf(call, "rows");
  const inputs = { x: gradientOf(call), rows, order: b.order(rows), like: inputOf(call, source) };
  return ofSlot(call, source, (range) => b.op(joinRowsGradient, inputs, { source, at, ...range }).y as Ref);
}
