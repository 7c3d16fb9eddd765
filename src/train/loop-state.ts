/** @file Where a training stands between two steps. */

import type { Scores } from "./evaluate/scores.ts";

/** The best evaluation so far. */
export interface BestSoFar {
  readonly step: number;
  readonly value: number;
  readonly scores: Scores;
}

/** Everything that the loop knows and the trainer does not. */
export interface LoopState {
  /** Steps done. */
  readonly step: number;
  /** The place of the next step. */
  readonly epoch: number;
  readonly at: number;
  readonly best: BestSoFar | null;
  /** Evaluations since the best one. */
  readonly stale: number;
  /** Why no step follows; null while there are some. */
  readonly ended: "steps" | "patience" | null;
  /** Time in steps and evaluations so far, over all processes. */
  readonly milliseconds: number;
}

/** A training that has not begun. */
export const beginning: LoopState = {
  step: 0,
  epoch: 0,
  at: 0,
  best: null,
  stale: 0,
  ended: null,
  milliseconds: 0,
};

/** @returns whether a value from a file is a state. */
export function isLoopState(value: unknown): value is LoopState {
  if (typeof value !== "object" || value === null) return false;
  const { step, epoch, at, best, stale, ended, milliseconds } = value as Record<keyof LoopState, unknown>;
  const known = best as Partial<BestSoFar> | null;
  return (
    [step, epoch, at, stale].every((count) => Number.isSafeInteger(count) && (count as number) >= 0) &&
    typeof milliseconds === "number" &&
    (ended === null || ended === "steps" || ended === "patience") &&
    (known === null || (typeof known === "object" && typeof known.step === "number" && typeof known.value === "number"))
  );
}
