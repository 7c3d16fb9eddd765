/** @file Sources of gradient tests in which segments name slots of a bank. */

import { noSlot } from "../../src/ops/adapter.ts";
import type { Source } from "./check-gradient.ts";
import { numbers, offsets, table } from "./sources.ts";

/** Ragged segments, two of them empty, one without a slot. */
const LENGTHS: readonly number[] = [3, 0, 5, 1, 34, 0];
/** Two segments with rows name slot 1, so that their gradients add up. */
const NAMED: readonly number[] = [1, 0, 1, noSlot, 0, 1];

/** Rows of all segments. */
export const ROWS: number = LENGTHS.reduce((sum, length) => sum + length, 0);
/** Number of segments. */
export const SEGMENTS: number = LENGTHS.length;
/** Slots that a bank has. */
export const SLOTS = 2;

/** A parameter of small normal numbers. */
export function weights(seed: number, ...shape: number[]): Source {
  return numbers(seed, shape, 0.6);
}

/** Offsets of the segments, and the slot that each names. */
export function tables(): Record<"segments" | "segment_slots", Source> {
  return { segments: table(...offsets(LENGTHS)), segment_slots: table(...NAMED) };
}
