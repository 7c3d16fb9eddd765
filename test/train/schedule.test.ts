/** @file Learning rates over the steps. */

import { describe, expect, test } from "vitest";
import { checkSchedule, learningRateAt } from "../../src/train/schedule.ts";
import type { Schedule } from "../../src/train/schedule.ts";

const base: Schedule = { kind: "linear", learningRate: 0.1, warmup: 4, steps: 14 };
const rates = (schedule: Schedule): number[] =>
  Array.from({ length: schedule.steps }, (_, step) => learningRateAt(schedule, step));

describe("a schedule", () => {
  test("rises in equal parts to the full rate", () => {
    expect(rates(base).slice(0, 5)).toEqual([0.025, 0.05, 0.075, 0.1, 0.1].map((rate) => expect.closeTo(rate, 12)));
  });

  test("falls in equal parts, or along a cosine, to the last step, which still has a rate", () => {
    const linear = rates(base).slice(4);
    linear.forEach((rate, i) => expect(rate).toBeCloseTo(0.1 * (1 - i / 10), 12));
    const cosine = rates({ ...base, kind: "cosine" }).slice(4);
    cosine.forEach((rate, i) => expect(rate).toBeCloseTo(0.05 * (1 + Math.cos((Math.PI * i) / 10)), 12));
    expect(Math.min(...linear, ...cosine)).toBeGreaterThan(0);
  });

  test("ends at a share of the rate where one is given, and stays there", () => {
    const schedule: Schedule = { ...base, kind: "cosine", final: 0.2 };
    expect(learningRateAt(schedule, 14)).toBeCloseTo(0.02, 12);
    expect(learningRateAt(schedule, 100)).toBeCloseTo(0.02, 12);
  });

  test("without warm-up begins with the full rate; a constant one keeps it", () => {
    expect(learningRateAt({ ...base, warmup: 0 }, 0)).toBe(0.1);
    expect(new Set(rates({ ...base, kind: "constant", warmup: 0 }))).toEqual(new Set([0.1]));
  });

  test("of warm-up alone", () => {
    expect(rates({ ...base, warmup: 14 }).at(-1)).toBeCloseTo(0.1, 12);
  });
});

test.each([
  ["kind", { kind: "step" }],
  ["learningRate", { learningRate: 0 }],
  ["learningRate", { learningRate: Number.NaN }],
  ["steps", { steps: 0 }],
  ["warmup", { warmup: 15 }],
  ["warmup", { warmup: 1.5 }],
  ["final", { final: 2 }],
])("%s of %j is refused", (field, change) => {
  expect(() => checkSchedule({ ...base, ...change } as Schedule)).toThrow(`schedule.${field} is`);
});
