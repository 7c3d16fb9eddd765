/**
 * @file y = a + w b per segment and group of columns: ∂a = ∂y, ∂b = w ∂y, ∂w = Σ ∂y · b over the segment's rows; or y = b where w > 0.5
 * else a, which is constant in w.
 */

import { fill } from "../fill.ts";
import type { BackwardCall, Builder, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import type { Dim } from "../op.ts";
import { rowDot } from "../row-dot.ts";
import { segmentCombine } from "../segment-combine.ts";
import type { SegmentCombineAttributes } from "../segment-combine.ts";
import { segmentSums } from "../segment-sums.ts";

/** Of `segment-combine`. */
export const segmentCombineRule: GradientRule<SegmentCombineAttributes> = (b, call) => {
  const { weight, segments } = call.inputs;
  const dy = gradientOf(call);
  if (call.attributes.mode === "choose") {
    const chosen = (a: Ref, other: Ref): Ref =>
      b.op(segmentCombine, { a, b: other, weight, segments }, { mode: "choose" }).y as Ref;
    const nothing = (): Ref => b.op(fill, { x: dy }, { value: 0 }).y as Ref;
    return {
      ...(call.wants("a") ? { a: chosen(dy, nothing()) } : {}),
      ...(call.wants("b") ? { b: chosen(nothing(), dy) } : {}),
    };
  }
  return {
    ...(call.wants("a") ? { a: dy } : {}),
    ...(call.wants("b") ? { b: b.op(segmentCombine, { b: dy, weight, segments }, { mode: "add" }).y } : {}),
    ...(call.wants("weight") ? { weight: weightGradient(b, call) } : {}),
  };
};

/** The products of a row by groups of columns, which are rows of their own; then their sums by segments. */
function weightGradient(b: Builder, call: BackwardCall<SegmentCombineAttributes>): Ref {
  const weight = inputOf(call, "weight");
  const other = inputOf(call, "b");
  const groups = weight.type.shape[1] as number;
  const [rows, width] = other.type.shape as readonly [Dim, number];
  const parts = typeof rows === "number" ? rows * groups : { symbol: rows.symbol, times: rows.times * groups };
  const grouped = (x: Ref): Ref => b.reshape(x, [parts, width / groups]);
  const dots = b.op(rowDot, { x: grouped(gradientOf(call)), w: grouped(other) }, {}).y as Ref;
  const inputs = { x: b.reshape(dots, [rows, groups]), segments: call.inputs.segments, like: weight };
  return b.op(segmentSums, inputs, {}).y as Ref;
}
