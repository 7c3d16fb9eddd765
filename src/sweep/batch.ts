/** @file One batch of a sweep, and what the dense model makes of it. */

import type { RunInput } from "../model/types.ts";
import type { ReactionAtoms } from "./reaction.ts";

/** A batch, ready to be run as often as there are points. */
export interface SweepBatch {
  readonly input: RunInput;
  /** Hidden rows of every sequence. */
  readonly rows: readonly number[];
  /** The right class of every sequence, where there are labels. */
  readonly labels: readonly number[] | null;
  /** Atoms of every sequence, where the sequences are reactions. */
  readonly atoms: readonly ReactionAtoms[] | null;
}

/** What a batch gave in the dense model. Kept for all points of a process. */
export interface DenseBatch {
  /** The hidden states of which the distance is measured, packed. */
  readonly hidden: Float32Array;
  /** What the metric read off. */
  readonly answers: Int32Array;
  /** ‖output − input‖ of every row, layer by layer; null where no oracle asks. */
  readonly changes: readonly Float32Array[] | null;
}

/** @returns how many rows a batch has. */
export function rowCount({ rows }: SweepBatch): number {
  return rows.reduce((sum, count) => sum + count, 0);
}

/** @returns the row at which every sequence begins, and the end. */
export function offsetsOf({ rows }: SweepBatch): number[] {
  const offsets = [0];
  for (const count of rows) offsets.push((offsets.at(-1) as number) + count);
  return offsets;
}
