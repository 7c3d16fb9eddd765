/** @file The gradient of soft top-k in float64: the golden rows of MATHS §1.3, and finite differences. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { softTopKSegment } from "../../src/reference/soft-top-k.ts";
import type { SoftTopKProblem } from "../../src/reference/soft-top-k.ts";
import { softTopKGradientSegment } from "../../src/reference/soft-top-k-gradient.ts";
import { goldenCases, goldenGradient, goldenK, goldenPrecision, goldenScores } from "../golden-soft-top-k.ts";

const gradient = Float64Array.from(goldenGradient);

describe("golden gradients", () => {
  const rows = goldenCases.filter(({ ds }) => ds !== undefined);

  test("all rows of the table are here", () => expect(rows).toHaveLength(4 + 3));

  test.each(rows)("$name", ({ problem, ds }) => {
    const found = softTopKGradientSegment(Float64Array.from(goldenScores), gradient, goldenK, problem);
    ds?.forEach((value, i) => expect(Math.abs((found[i] as number) - value)).toBeLessThanOrEqual(goldenPrecision));
  });
});

/** The loss's slope along a direction by central differences, or null near a kink, where the two halves disagree. */
function slope(scores: Float64Array, direction: Float64Array, k: number, problem: SoftTopKProblem): number | null {
  const step = 1e-6 * problem.epsilon;
  const loss = (by: number): number => {
    const moved = scores.map((score, i) => score + by * (direction[i] as number));
    return softTopKSegment(moved, k, problem).reduce((sum, weight, i) => sum + weight * weightGradient(i), 0);
  };
  const [below, here, above] = [loss(-step), loss(0), loss(step)] as const;
  const halves = [(here - below) / step, (above - here) / step] as const;
  return Math.abs(halves[0] - halves[1]) > 1e-4 / problem.epsilon ? null : (above - below) / (2 * step);
}

function weightGradient(i: number): number {
  return goldenGradient[i % goldenGradient.length] as number;
}

const problem = fc.record({
  mode: fc.constantFrom("paper" as const, "exact" as const),
  epsilon: fc.constantFrom(0.05, 0.3, 1, 10),
  iterations: fc.integer({ min: 1, max: 30 }),
  epsilonStart: fc.constantFrom(0, 4),
  epsilonDecay: fc.constantFrom(0.5, 0.7, 1),
  start: fc.constantFrom("zero" as const, "minus-scores" as const),
});
const values = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 2, maxLength: 12 });

describe("finite differences", () => {
  test("agree along every axis and a slanted line, where the function is smooth", () => {
    let compared = 0;
    fc.assert(
      fc.property(values, fc.nat(), problem, (drawn, seed, setting) => {
        const scores = Float64Array.from(drawn);
        const k = 1 + (seed % (scores.length - 1));
        const ds = softTopKGradientSegment(
          scores,
          scores.map((_, i) => weightGradient(i)),
          k,
          setting,
        );
        const axes = drawn.map((_, axis) => scores.map((__, i) => (i === axis ? 1 : 0)));
        for (const direction of [...axes, scores.map((_, i) => Math.cos(i + 1))]) {
          const expected = slope(scores, direction, k, setting);
          if (expected === null) continue;
          compared += 1;
          const found = ds.reduce((sum, value, i) => sum + value * (direction[i] as number), 0);
          // Cancellation in the loss (2^-53 / 1e-6) and the second order, both relative to the slopes that ε allows.
          expect(Math.abs(found - expected)).toBeLessThanOrEqual(2e-4 / setting.epsilon);
        }
      }),
      { numRuns: 300, seed: 7 },
    );
    expect(compared).toBeGreaterThan(1500);
  });
});

describe("gradients", () => {
  test.each(["paper", "exact"] as const)("%s: 0 where k = 0 or k >= n", (mode) => {
    const setting = { mode, epsilon: 0.1, iterations: 20, epsilonStart: 4, epsilonDecay: 0.7 };
    for (const k of [0, 8, 9]) {
      const ds = softTopKGradientSegment(Float64Array.from(goldenScores), gradient, k, setting);
      expect([...ds]).toEqual(Array.from({ length: 8 }, () => 0));
    }
  });

  test("the unrolled gradient approaches the exact one", () => {
    const scores = Float64Array.from(goldenScores);
    const setting = { epsilon: 0.1, iterations: 3000, epsilonStart: 4, epsilonDecay: 0.7 };
    const exact = softTopKGradientSegment(scores, gradient, goldenK, { ...setting, mode: "exact" });
    const paper = softTopKGradientSegment(scores, gradient, goldenK, { ...setting, mode: "paper" });
    exact.forEach((value, i) => expect(Math.abs(value - (paper[i] as number))).toBeLessThan(1e-9));
  });
});
