/** @file The learning rate over the steps of a training: warm-up, then constant, linear or cosine decay. */

import { EngineError } from "../errors.ts";

/** How the learning rate goes over the steps. */
export interface Schedule {
  readonly kind: "constant" | "linear" | "cosine";
  /** The rate at the end of the warm-up. */
  readonly learningRate: number;
  /** Steps over which the rate rises in equal parts; the first step has the first part. */
  readonly warmup: number;
  /** All steps, those of the warm-up among them. */
  readonly steps: number;
  /** What a decay ends at, as a share of the rate; 0 when absent. */
  readonly final?: number;
}

/** The share of the rate that is left when so much of the decay is done, from 0 to 1. */
const DECAY: Readonly<Record<Schedule["kind"], (done: number) => number>> = {
  constant: () => 1,
  linear: (done) => 1 - done,
  cosine: (done) => (1 + Math.cos(Math.PI * done)) / 2,
};

/**
 * @param step from 0
 * @returns the learning rate of a step. The last step still has one: the decay reaches its end behind it.
 */
export function learningRateAt({ kind, learningRate, warmup, steps, final = 0 }: Schedule, step: number): number {
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  const done = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  return learningRate * (final + (1 - final) * DECAY[kind](done));
}

/**
 * Checks a schedule.
 * @throws EngineError BAD_CONFIG naming the field
 */
export function checkSchedule(schedule: Schedule): Schedule {
  const { kind, learningRate, warmup, steps, final = 0 } = schedule;
  const refuse = (field: string, value: unknown, expected: string): never => {
    const where = `schedule.${field}`;
    throw new EngineError("BAD_CONFIG", `${where} is ${JSON.stringify(value)}, expected ${expected}`, { where });
  };
  if (!Object.hasOwn(DECAY, kind)) refuse("kind", kind, Object.keys(DECAY).join(", "));
  if (!(learningRate > 0 && Number.isFinite(learningRate))) refuse("learningRate", learningRate, "a number above 0");
  if (!(Number.isInteger(steps) && steps >= 1)) refuse("steps", steps, "a whole number from 1 on");
  if (!(Number.isInteger(warmup) && warmup >= 0 && warmup <= steps))
    refuse("warmup", warmup, `a whole number from 0 to the ${steps} steps`);
  if (!(final >= 0 && final <= 1)) refuse("final", final, "a share from 0 to 1");
  return schedule;
}
