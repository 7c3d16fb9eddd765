/** @file Going through packed rows by segment in the references. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** The slot number that means "none". */
const NO_SLOT = 0xffffffff;

/** Calls `visit` with the number and the rows [start, end) of every segment of `inputs.segments`. */
export function forSegments(
  op: string,
  inputs: ReferenceTensors,
  visit: (segment: number, start: number, end: number) => void,
): void {
  const offsets = needTensor(op, inputs, "segments").data;
  for (let s = 0; s + 1 < offsets.length; s += 1) visit(s, offsets[s] as number, offsets[s + 1] as number);
}

/** @returns the row of `inputs.bank` that a segment names, null where it names none. */
export function slotOf(op: string, inputs: ReferenceTensors, segment: number): ReferenceTensor["data"] | null {
  const slot = needTensor(op, inputs, "segment_slots").data[segment] as number;
  if (slot === NO_SLOT) return null;
  const { shape, data } = needTensor(op, inputs, "bank");
  const stride = shape[1] as number;
  return data.subarray(slot * stride, (slot + 1) * stride);
}
