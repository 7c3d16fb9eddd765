/** @file What ops share that read, for every segment, the slot of a bank which that segment names. */

import { EngineError } from "../errors.ts";
import { expectDim, expectTensor, staticDim } from "./op.ts";
import type { Dim, SizeOf, TensorType } from "./op.ts";

type Inputs = Readonly<Record<string, TensorType>>;

/** A bank[slots, stride] of f32, and the number of segments that name a slot of it. */
export interface SegmentBank {
  readonly slots: number;
  /** Elements of a slot. */
  readonly stride: number;
  readonly segments: Dim;
}

/** Checks bank[slots, stride], segments[S + 1] u32 and segment_slots[S] u32; throws SHAPE naming the axis. */
export function expectSegmentBank(op: string, inputs: Inputs): SegmentBank {
  const { shape } = expectTensor(op, "bank", inputs.bank, 2);
  const bank = { slots: staticDim(op, "bank axis 0", shape[0]), stride: staticDim(op, "bank axis 1", shape[1]) };
  const offsets = expectTensor(op, "segments", inputs.segments, 1, ["u32"]).shape[0] as Dim;
  const segments = expectTensor(op, "segment_slots", inputs.segment_slots, 1, ["u32"]).shape[0] as Dim;
  if (typeof segments === "number") expectCount(op, offsets, segments);
  return { ...bank, segments };
}

/** Throws SHAPE unless a table of S + 1 offsets has one offset more than there are segments; run-time lengths pass. */
export function expectCount(op: string, offsets: Dim, segments: number): void {
  if (typeof offsets === "number") expectDim(op, "segments axis 0", offsets, segments + 1);
}

/** Throws SHAPE unless elements [at, at + length) lie inside a row of `width` elements. */
export function expectRange(op: string, name: string, at: number, length: number, row: string, width: number): void {
  if (Number.isInteger(at) && at >= 0 && at + length <= width) return;
  const message = `${op}: ${length} elements from ${name} = ${at} do not lie inside ${row} of ${width} elements`;
  throw new EngineError("SHAPE", message, { where: `${op}.${name}` });
}

/** Bytes read when `elements` of every slot in use are read once: as many slots as there are segments, at most all. */
export function bankBytes(inputs: Inputs, elements: number, size: SizeOf): number {
  const slots = size(inputs.bank?.shape[0] as Dim);
  const segments = size(inputs.segment_slots?.shape[0] as Dim);
  return Math.min(slots, segments) * elements * 4;
}
