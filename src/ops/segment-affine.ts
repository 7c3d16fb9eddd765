/** @file A scale and a shift per column, read from the slot of a bank that each segment names. */

import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";
import { rowCopyLaunch, rowCopyVariants } from "./row-copy.ts";
import { bankBytes, expectRange, expectSegmentBank } from "./segment-bank.ts";

/** Attributes of {@link segmentAffine}: places inside a slot, in elements. */
export interface SegmentAffineAttributes extends Attributes {
  /** Where the scales begin; absent: no scale. */
  readonly scaleAt?: number;
  /** Where the shifts begin; absent: no shift. */
  readonly shiftAt?: number;
  /** The scale and shift that belong to column 0 of x, where x holds a part of the columns; 0 by default. */
  readonly firstColumn?: number;
}

/** Where column 0 of x finds its scale and its shift; undefined where there is none. */
function places({ scaleAt, shiftAt, firstColumn = 0 }: SegmentAffineAttributes): (number | undefined)[] {
  return [scaleAt, shiftAt].map((at) => (at === undefined ? undefined : at + firstColumn));
}

/**
 * x[R, D], residual?[R, D], bank[slots, stride], segments[S + 1] u32, segment_slots[S] u32 (`noSlot` for none) -> y[R, D] =
 * residual[r, c] + x[r, c] · bank[slot, scaleAt + firstColumn + c] + bank[slot, shiftAt + firstColumn + c], slot being that
 * of row r's segment. Segments without a slot: y = residual, or x where there is no residual.
 */
export const segmentAffine: Op<SegmentAffineAttributes> = {
  stem: "segment-affine",
  infer: (inputs, attributes) => {
    const { shape } = expectTensor("segment-affine", "x", inputs.x, 2);
    const width = staticDim("segment-affine", "x axis 1", shape[1]);
    if (inputs.residual !== undefined) {
      const residual = expectTensor("segment-affine", "residual", inputs.residual, 2);
      expectDim("segment-affine", "residual axis 0", residual.shape[0], shape[0] as Dim);
      expectDim("segment-affine", "residual axis 1", residual.shape[1], width);
    }
    const { stride } = expectSegmentBank("segment-affine", inputs);
    const { scaleAt = 0, shiftAt = 0, firstColumn = 0 } = attributes;
    expectRange("segment-affine", "firstColumn", firstColumn, 0, "a slot", stride);
    expectRange("segment-affine", "scaleAt", scaleAt, 0, "a slot", stride);
    expectRange("segment-affine", "shiftAt", shiftAt, 0, "a slot", stride);
    const [scale, shift] = places(attributes);
    if (scale !== undefined) expectRange("segment-affine", "scaleAt + firstColumn", scale, width, "a slot", stride);
    if (shift !== undefined) expectRange("segment-affine", "shiftAt + firstColumn", shift, width, "a slot", stride);
    return { y: { shape: [shape[0] as Dim, width], element: "f32" } };
  },
  // A multiply-add per element. Of the bank only the scales and shifts of the slots in use are read.
  cost: (call, size) => {
    const { bank: _, ...others } = call.inputs;
    const width = size(call.outputs.y?.shape[1] as Dim);
    const vectors = places(call.attributes).filter((at) => at !== undefined).length;
    return {
      flops: 2 * elementCount(call.outputs.y as TensorType, size),
      bytes: trafficBytes({ ...call, inputs: others }, size) + bankBytes(call.inputs, vectors * width, size),
    };
  },
  variants: ({ inputs, outputs, attributes }) => {
    const [scale = 0, shift = 0] = places(attributes);
    // An OR is a multiple of 4 exactly when all its parts are.
    return rowCopyVariants((outputs.y?.shape[1] as number) | (inputs.bank?.shape[1] as number) | scale | shift);
  },
  launch: ({ inputs, outputs, attributes }, variant) => {
    const [rows, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    const [scale, shift] = places(attributes);
    const constants = {
      STRIDE: inputs.bank?.shape[1] as number,
      SCALE_AT: scale ?? 0,
      SHIFT_AT: shift ?? 0,
      HAS_SCALE: scale !== undefined,
      HAS_SHIFT: shift !== undefined,
      HAS_RESIDUAL: inputs.residual !== undefined,
    };
    const uniform = { segments: segmentCount(inputs.segments as TensorType) };
    return [rowCopyLaunch({ kernel: "segment-affine", variant, width, rows, constants, uniform })];
  },
};
