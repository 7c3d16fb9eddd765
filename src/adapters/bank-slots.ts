/** @file How a bank's tables are named on the GPU, and how a bottleneck is laid out in a slot, there and back. */

import { adapterStride } from "../ops/adapter.ts";
import type { BankEntry, BottleneckEntry } from "./packed.ts";
import { isBottleneck } from "./packed.ts";

/** Words of a slot's record beside a table of bottlenecks. */
export const SLOT_WORDS = 4;

/** Name of the parameter that holds a table: a stack of slots. */
export function parameterName(table: string): string {
  return `adapters.${table}`;
}

/** Name of the parameter that holds the records beside a table of bottlenecks. */
export function slotsName(table: string): string {
  return `adapters.${table}.slots`;
}

/** The record of a slot: active width, activation code, bits of the scale, nothing. */
export function slotInfo({ width, activation, scale }: BottleneckEntry): Uint32Array {
  const info = Uint32Array.of(width, activation, 0, 0);
  new Float32Array(info.buffer)[2] = scale;
  return info;
}

/** A slot of a table with room B: down [B, D], up [E, B], down_bias [B], up_bias [E] with B the room of the table. */
export function slotData(entry: BottleneckEntry, room: number): Float32Array {
  const { inputs, outputs } = entry.table;
  const { width } = entry;
  const data = new Float32Array(adapterStride(inputs, room, outputs));
  data.set(entry.down, 0);
  const up = room * inputs;
  for (let row = 0; row < outputs; row += 1)
    data.set(entry.up.subarray(row * width, (row + 1) * width), up + row * room);
  data.set(entry.downBias, up + outputs * room);
  data.set(entry.upBias, up + outputs * room + room);
  return data;
}

/**
 * The inverse of {@link slotData}, and of how values are written.
 * @param entry what the slot was written from
 * @param data the elements of the slot now
 */
export function entryOfSlot(entry: BankEntry, data: Float32Array, room: number): BankEntry {
  if (!isBottleneck(entry)) return { ...entry, data: data.slice(0, entry.data.length) };
  const { width } = entry;
  const { inputs, outputs } = entry.table;
  const up = new Float32Array(outputs * width);
  for (let row = 0; row < outputs; row += 1) {
    const at = room * inputs + row * room;
    up.set(data.subarray(at, at + width), row * width);
  }
  const biases = room * (inputs + outputs);
  return {
    ...entry,
    down: data.slice(0, width * inputs),
    up,
    downBias: data.slice(biases, biases + width),
    upBias: data.slice(biases + room, biases + room + outputs),
  };
}
