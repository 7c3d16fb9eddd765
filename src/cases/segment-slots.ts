/** @file Inputs of cases in which every segment names the slot of a bank. */

import { noSlot } from "../ops/adapter.ts";
import type { CaseTensor } from "./case.ts";
import { segmentTable } from "./segment-tables.ts";

/** Segments of these lengths; their slots take turns unless they are given. */
export interface SlottedSegments {
  readonly lengths: readonly number[];
  readonly slots: number;
  readonly named?: readonly number[];
}

/** @returns the slot of every segment. */
export function namedSlots({ lengths, slots, named }: SlottedSegments): readonly number[] {
  return named ?? lengths.map((_, s) => s % slots);
}

/** The inputs `segments` and `segment_slots`. */
export function slotTables(setting: SlottedSegments): Record<"segments" | "segment_slots", CaseTensor> {
  const slots = Uint32Array.from(namedSlots(setting));
  return {
    segments: segmentTable(setting.lengths),
    segment_slots: { shape: [slots.length], data: slots, rows: "segments" },
  };
}

/** Makes the rows of segments without a slot NaN: they must not be read. */
export function spoilUnslotted(data: Float32Array, width: number, setting: SlottedSegments): Float32Array {
  const slots = namedSlots(setting);
  let row = 0;
  setting.lengths.forEach((length, s) => {
    if (slots[s] === noSlot) data.fill(NaN, row * width, (row + length) * width);
    row += length;
  });
  return data;
}

/** A bank that holds `values` in elements [at, at + values.length) of each slot in turn and NaN everywhere else. */
export function spoiledBank(
  setting: SlottedSegments,
  stride: number,
  parts: readonly { readonly at: number; readonly length: number; readonly values: Float32Array }[],
): CaseTensor {
  const data = new Float32Array(setting.slots * stride).fill(NaN);
  for (const slot of new Set(namedSlots(setting))) {
    if (slot === noSlot) continue;
    for (const { at, length, values } of parts) {
      data.set(values.subarray(slot * length, (slot + 1) * length), slot * stride + at);
    }
  }
  return { shape: [setting.slots, stride], data };
}

/** The name of a list of lengths. */
export function lengthsName(lengths: readonly number[]): string {
  return lengths.length > 8 ? `${lengths.length} segments` : `lengths ${lengths.join(" ")}`;
}
