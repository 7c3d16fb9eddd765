/**
 * @file y = residual + scale · (u Wuᵀ + cu), u = act(z), z = x Wdᵀ + cd (MATHS §2.2): ∂x = ∂z Wd, and of the trained slot ∂Wd = ∂zᵀ x,
 * ∂Wu = scale · ∂yᵀ u, ∂cd = Σ ∂z and ∂cu = scale · Σ ∂y over the rows of segments that name it.
 */

import { adapterGradient } from "../adapter-gradient.ts";
import { widthsOf } from "../adapter.ts";
import type { AdapterAttributes } from "../adapter.ts";
import type { BackwardCall, Builder, GradientPart, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { matmulWeightGradient } from "../matmul-weight-gradient.ts";
import { sumRows } from "../sum-rows.ts";
import { trainedSlot } from "./trained-slot.ts";

type Call = BackwardCall<AdapterAttributes>;

/** Of `adapter`. Where x is its own residual, both gradients come as one from the same launch. */
export const adapterRule: GradientRule<AdapterAttributes> = (b, call) => {
  const { residual, ...inputs } = call.inputs;
  const dy = gradientOf(call);
  const slot = trainedSlot("adapter", call);
  const input = call.wants("x");
  const skip = input && residual === inputs.x;
  const skipped = residual === undefined || skip ? {} : { residual: dy };
  if (!input && slot === undefined) return skipped;
  const attributes = { ...call.attributes, input, slot, ...(skip ? { skip } : {}) };
  const outputs = b.op(adapterGradient, { ...inputs, dy }, attributes);
  return {
    ...skipped,
    ...(input ? { x: outputs.dx } : {}),
    ...(slot === undefined ? {} : { bank: bankGradient(b, call, outputs) }),
  };
};

/** down [B, D], of up [E, B] the rows that take part, down bias [B], of the up bias [E] the same elements. */
function bankGradient(b: Builder, call: Call, { dz, u, mask }: Readonly<Record<string, Ref>>): GradientPart[] {
  const { width, maxWidth, outWidth, first } = widthsOf(call.attributes);
  const dy = gradientOf(call);
  const x = inputOf(call, "x");
  const [up, downBias] = [maxWidth * width, maxWidth * (width + outWidth)];
  return [
    { at: 0, value: b.op(matmulWeightGradient, { dy: dz, x }, {}).dw as Ref },
    { at: up + first * maxWidth, value: b.op(matmulWeightGradient, { dy, x: u }, {}).dw as Ref },
    { at: downBias, value: b.op(sumRows, { x: dz }, {}).y as Ref },
    { at: downBias + maxWidth + first, value: b.op(sumRows, { x: dy, weight: mask }, {}).y as Ref },
  ];
}
