/** @file The gradient of the gates of segments: of the rows they are means over, and of the logits, which the weights' is made of. */

import { EngineError } from "../errors.ts";
import { counted } from "./cost.ts";
import { expectDim, expectTensor, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";
import { rowLaunch, rowVariants } from "./row-launch.ts";
import { bankBytes } from "./segment-bank.ts";
import { gatesOf, segmentGate } from "./segment-gate.ts";
import type { SegmentGateAttributes } from "./segment-gate.ts";

/** Attributes of {@link segmentGateGradient}: those of the gate, and what is wanted. */
export interface SegmentGateGradientAttributes extends SegmentGateAttributes {
  /** dz is wanted, that of this slot. */
  readonly slot?: number | undefined;
  /** dx is wanted. */
  readonly input: boolean;
}

const STEM = "segment-gate-gradient";
/** Of a row and gate besides the products: the bias, five for the slope, the gradient and the length of the mean. */
const FLOPS_PER_LOGIT = 8;

/**
 * x[R, D], dy[S, G], bank, segments and segment_slots of `segment-gate`, of which y[s, g] is the mean of σ(z[r, g]) over the rows r of
 * segment s, z = x[r] · w_g + c_g -> with `input` dx[R, D] = Σ_g dz w_g, 0 in segments without a slot; with `slot` dz[R, G] =
 * dy[s, g] σ'(z) / n_s in the rows of segments that name this slot, 0 in all others: ∂w = dzᵀ x, ∂c = Σ dz. z is computed again.
 */
export const segmentGateGradient: Op<SegmentGateGradientAttributes> = {
  stem: STEM,
  infer: (inputs, attributes) => {
    const { dy, ...forward } = inputs;
    const { gates, input, slot } = attributes;
    const [segments] = (segmentGate.infer({ ...forward }, attributes).y as TensorType).shape;
    const { shape } = expectTensor(STEM, "dy", dy, 2);
    expectDim(STEM, "dy axis 0", shape[0], segments as Dim);
    expectDim(STEM, "dy axis 1", shape[1], gates);
    const slots = inputs.bank?.shape[0] as number;
    const valid = slot === undefined ? input : Number.isInteger(slot) && slot >= 0 && slot < slots;
    if (!valid) {
      const message = slot === undefined ? "no output is wanted" : `slot is ${slot}, the bank has ${slots}`;
      throw new EngineError("BAD_CONFIG", `${STEM}: ${message}`, { where: `${STEM}.slot` });
    }
    const [rows, width] = (inputs.x as TensorType).shape as readonly [Dim, Dim];
    return {
      ...(input ? { dx: { shape: [rows, width], element: "f32" } } : {}),
      ...(slot === undefined ? {} : { dz: { shape: [rows, gates], element: "f32" } }),
    };
  },
  // Which segments have no slot is run-time data: every row counts. Of the bank only the slots in use are read.
  cost: ({ inputs, outputs, attributes: { gates, input } }, size) => {
    const { bank: _, ...others } = inputs;
    const [rows, width] = (inputs.x as TensorType).shape.map(size) as [number, number];
    const bytes = trafficBytes({ inputs: others, outputs, attributes: {} }, size);
    const products = (input ? 4 : 2) * width;
    const other = rows * gates * (products + FLOPS_PER_LOGIT);
    return counted({ other }, bytes + bankBytes(inputs, gates * (width + 1), size));
  },
  variants: ({ inputs }, device) => rowVariants(device, inputs.x?.shape[1] as number),
  launch: ({ inputs, attributes }, variant) => {
    const { gates, input, slot } = attributes;
    const { firstGate, slotGates } = gatesOf(attributes);
    const [rows, width] = (inputs.x as TensorType).shape as readonly [Dim, number];
    const stride = inputs.bank?.shape[1] as number;
    const constants = {
      STRIDE: stride,
      GATES: gates,
      FIRST_GATE: firstGate,
      SLOT_GATES: slotGates,
      HAS_DX: input,
      HAS_DZ: slot !== undefined,
    };
    const uniform = { segments: segmentCount(inputs.segments as TensorType), trained: slot ?? 0 };
    const launch = rowLaunch({ kernel: STEM, variant, width, rows, constants, uniform });
    const [, ...libs] = launch.libs ?? [];
    return [{ ...launch, libs: [width % 4 === 0 && stride % 4 === 0 ? "item-vec4" : "item-scalar", ...libs] }];
  },
};
