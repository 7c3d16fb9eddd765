/** @file Gates of a segment: the mean over its rows of a sigmoid of the row, weights from the segment's slot of a bank. */

import { EngineError } from "../errors.ts";
import { expectTensor, foldGrid, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, TensorType } from "./op.ts";
import { segmentLaunch, segmentVariants } from "./per-segment.ts";
import { bankBytes, expectSegmentBank } from "./segment-bank.ts";

/** Attributes of {@link segmentGate}. */
export interface SegmentGateAttributes extends Attributes {
  /** Number G of gates. */
  readonly gates: number;
  /** The gate of a slot that comes first; 0 when absent. */
  readonly firstGate?: number;
  /** Gates that a slot holds; `gates` when absent. */
  readonly slotGates?: number;
}

// Of a row and gate besides the product: the bias, four for the sigmoid, the sum of the mean.
const FLOPS_PER_LOGIT = 6;

/**
 * x[R, D], bank[slots, stride], segments[S + 1] u32, segment_slots[S] u32 (`noSlot` for none) -> y[S, G], the mean over the
 * rows r of segment s of sigmoid(x[r] · w_g + c_g) (MATHS §2.2). A slot begins with the gate vectors w [G, D], then the
 * biases c [G]; of more gates in a slot those from `firstGate` on are taken. A segment without a slot or without rows gives 0.
 */
export const segmentGate: Op<SegmentGateAttributes> = {
  stem: "segment-gate",
  infer: (inputs, attributes) => {
    const { gates } = attributes;
    const { firstGate, slotGates } = gatesOf(attributes);
    if (!Number.isInteger(gates) || gates < 1) {
      throw new EngineError("BAD_CONFIG", `segment-gate: gates is ${gates}, expected a whole number from 1`, {
        where: "segment-gate.gates",
      });
    }
    if (!Number.isInteger(firstGate) || firstGate < 0 || firstGate + gates > slotGates) {
      const message = `segment-gate: firstGate is ${firstGate}, expected ${gates} of the ${slotGates} gates of a slot`;
      throw new EngineError("BAD_CONFIG", message, { where: "segment-gate.firstGate" });
    }
    const { shape } = expectTensor("segment-gate", "x", inputs.x, 2);
    const width = staticDim("segment-gate", "x axis 1", shape[1]);
    const { stride, segments } = expectSegmentBank("segment-gate", inputs);
    if (stride < slotGates * (width + 1)) {
      const message = `segment-gate: bank axis 1 is ${stride}, expected at least ${slotGates} x (${width} + 1)`;
      throw new EngineError("SHAPE", message, { where: "segment-gate.bank axis 1" });
    }
    return { y: { shape: [segments, gates], element: "f32" } };
  },
  // Which segments have no slot is run-time data: every row counts. Of the bank only the slots in use are read.
  cost: ({ inputs, outputs, attributes: { gates } }, size) => {
    const { bank: _, ...others } = inputs;
    const [rows, width] = (inputs.x as TensorType).shape.map(size) as [number, number];
    const means = size(outputs.y?.shape[0] as Dim) * gates;
    return {
      flops: rows * gates * (2 * width + FLOPS_PER_LOGIT) + means,
      bytes:
        trafficBytes({ inputs: others, outputs, attributes: {} }, size) + bankBytes(inputs, gates * (width + 1), size),
    };
  },
  variants: ({ inputs }, device, capacity) => segmentVariants(device, capacity(inputs.x?.shape[0] as Dim)),
  launch: ({ inputs, attributes }, variant) => {
    const { gates } = attributes;
    const { firstGate, slotGates } = gatesOf(attributes);
    const width = inputs.x?.shape[1] as number;
    const stride = inputs.bank?.shape[1] as number;
    const segments = inputs.segment_slots?.shape[0] as Dim;
    const launch = segmentLaunch("segment-gate", variant, inputs.segments as TensorType);
    return [
      {
        ...launch,
        constants: {
          ...launch.constants,
          WIDTH: width,
          STRIDE: stride,
          GATES: gates,
          FIRST_GATE: firstGate,
          SLOT_GATES: slotGates,
        },
        libs: [width % 4 === 0 && stride % 4 === 0 ? "item-vec4" : "item-scalar"],
        grid: (size) => foldGrid(size(segments) * gates),
      },
    ];
  },
};

/** @returns the first of the gates that are taken, and how many a slot holds. */
export function gatesOf({ gates, firstGate = 0, slotGates = gates }: SegmentGateAttributes): {
  firstGate: number;
  slotGates: number;
} {
  return { firstGate, slotGates };
}
