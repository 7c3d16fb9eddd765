/**
 * @file y = residual + x ⊙ scale + shift with vectors of a segment's slot: ∂x = ∂y ⊙ scale, ∂scale = Σ ∂y ⊙ x and ∂shift = Σ ∂y over
 * the rows of segments that name the trained slot. A segment without one: y = residual, or x without a residual.
 */

import { fill } from "../fill.ts";
import type { BackwardCall, Builder, GradientPart, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { segmentAffine } from "../segment-affine.ts";
import type { SegmentAffineAttributes } from "../segment-affine.ts";
import { segmentSums } from "../segment-sums.ts";
import { sumRows } from "../sum-rows.ts";
import { trainedSlot } from "./trained-slot.ts";

type Call = BackwardCall<SegmentAffineAttributes>;

/** Of `segment-affine`. */
export const segmentAffineRule: GradientRule<SegmentAffineAttributes> = (b, call) => {
  const slot = trainedSlot("segment-affine", call);
  return {
    ...(call.wants("x") ? { x: inputGradient(b, call) } : {}),
    ...(call.wants("residual") ? { residual: gradientOf(call) } : {}),
    ...(slot === undefined ? {} : { bank: bankGradient(b, call, slot) }),
  };
};

/** The op itself on ∂y, without the shift; with a residual, segments without a slot did not read x. */
function inputGradient(b: Builder, call: Call): Ref {
  const { bank, segments, segment_slots, residual } = call.inputs;
  const { shiftAt: _, ...attributes } = call.attributes;
  const dy = gradientOf(call);
  if (attributes.scaleAt === undefined && residual === undefined) return dy;
  const nothing = residual === undefined ? undefined : b.op(fill, { x: dy }, { value: 0 }).y;
  const inputs = { x: dy, residual: nothing, bank, segments, segment_slots };
  return b.op(segmentAffine, inputs, attributes).y as Ref;
}

function bankGradient(b: Builder, call: Call, slot: number): GradientPart[] {
  const { segments, segment_slots: like } = call.inputs;
  const { scaleAt, shiftAt, firstColumn = 0 } = call.attributes;
  const dy = gradientOf(call);
  const total = (factor?: Ref): Ref => {
    const sums = b.op(segmentSums, { x: dy, factor, segments, like }, { slot }).y;
    return b.op(sumRows, { x: sums }, {}).y as Ref;
  };
  return [
    ...(scaleAt === undefined ? [] : [{ at: scaleAt + firstColumn, value: total(inputOf(call, "x")) }]),
    ...(shiftAt === undefined ? [] : [{ at: shiftAt + firstColumn, value: total() }]),
  ];
}
