/** @file Rows by index from two sources: each row of a source gets the sum of ∂y over what it was joined as. */

import { EngineError } from "../../errors.ts";
import type { BackwardCall, Builder, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { joinRowsGradient } from "../join-rows-gradient.ts";
import type { JoinRowsAttributes } from "../join-rows.ts";

/** Of `join-rows`. The host gives the table. */
export const joinRowsRule: GradientRule<JoinRowsAttributes> = (b, call) => ({
  ...(call.wants("a") ? { a: sourceGradient(b, call, "a", call.attributes.aAt) } : {}),
  ...(call.wants("b") ? { b: sourceGradient(b, call, "b", call.attributes.bAt) } : {}),
});

function sourceGradient(b: Builder, call: BackwardCall<unknown>, source: "a" | "b", at: number | undefined): Ref {
  if (call.slotOf(source) !== null) {
    const message = `join-rows: ${source} is trained in one slot alone, but its rows do not say whose slot they are of`;
    throw new EngineError("UNSUPPORTED", message, { where: `join-rows.${source}`, fix: "train the whole parameter" });
  }
  const rows = inputOf(call, "rows");
  const inputs = { x: gradientOf(call), rows, order: b.order(rows), like: inputOf(call, source) };
  return b.op(joinRowsGradient, inputs, { source, at }).y as Ref;
}
