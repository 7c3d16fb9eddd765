/** @file y = mean of σ(x · w + c) over a segment's rows: ∂z of every row, then ∂x = ∂z w, ∂w = ∂zᵀ x and ∂c = Σ ∂z. */

import type { GradientPart, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { matmulWeightGradient } from "../matmul-weight-gradient.ts";
import { segmentGateGradient } from "../segment-gate-gradient.ts";
import { gatesOf } from "../segment-gate.ts";
import type { SegmentGateAttributes } from "../segment-gate.ts";
import { sumRows } from "../sum-rows.ts";
import { trainedSlot } from "./trained-slot.ts";

/** Of `segment-gate`. */
export const segmentGateRule: GradientRule<SegmentGateAttributes> = (b, call) => {
  const slot = trainedSlot("segment-gate", call);
  const input = call.wants("x");
  if (!input && slot === undefined) return {};
  const inputs = { ...call.inputs, dy: gradientOf(call) };
  const { dx, dz } = b.op(segmentGateGradient, inputs, { ...call.attributes, input, slot });
  const parts = (): GradientPart[] => {
    const x = inputOf(call, "x");
    const width = x.type.shape[1] as number;
    const { firstGate, slotGates } = gatesOf(call.attributes);
    return [
      { at: firstGate * width, value: b.op(matmulWeightGradient, { dy: dz, x }, {}).dw as Ref },
      { at: slotGates * width + firstGate, value: b.op(sumRows, { x: dz }, {}).y as Ref },
    ];
  };
  return { ...(input ? { x: dx } : {}), ...(slot === undefined ? {} : { bank: parts() }) };
};
