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
}

// Of a row and gate besides the product: the bias, four for the sigmoid, the sum of the mean.
const FLOPS_PER_LOGIT = 6;

/**
 * x[R, D], bank[slots, stride], segments[S + 1] u32, segment_slots[S] u32 (`noSlot` for none) -> y[S, G], the mean over the
 * rows r of segment s of sigmoid(x[r] · w_g + c_g) (MATHS §2.2). A slot begins with the gate vectors w [G, D], then the
 * biases c [G]. A segment without a slot or without rows gives 0.
 */
export const segmentGate: Op<SegmentGateAttributes> = {
  stem: "segment-gate",
  infer: (inputs, { gates }) => {
    if (!Number.isInteger(gates) || gates < 1) {
      throw new EngineError("BAD_CONFIG", `segment-gate: gates is ${gates}, expected a whole number from 1`, {
        where: "segment-gate.gates",
      });
    }
    const { shape } = expectTensor("segment-gate", "x", inputs.x, 2);
    const width = staticDim("segment-gate", "x axis 1", shape[1]);
    const { stride, segments } = expectSegmentBank("segment-gate", inputs);
    if (stride < gates * (width + 1)) {
      const message = `segment-gate: bank axis 1 is ${stride}, expected at least ${gates} x (${width} + 1)`;
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
  launch: ({ inputs, attributes: { gates } }, variant) => {
    const width = inputs.x?.shape[1] as number;
    const stride = inputs.bank?.shape[1] as number;
    const segments = inputs.segment_slots?.shape[0] as Dim;
    const launch = segmentLaunch("segment-gate", variant, inputs.segments as TensorType);
    return [
      {
        ...launch,
        constants: { ...launch.constants, WIDTH: width, STRIDE: stride, GATES: gates },
        libs: [width % 4 === 0 && stride % 4 === 0 ? "item-vec4" : "item-scalar"],
        grid: (size) => foldGrid(size(segments) * gates),
      },
    ];
  },
};
