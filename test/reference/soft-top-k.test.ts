/** @file Soft top-k in float64: the golden vectors of MATHS §1.3 and the properties of the operator. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { coordinateDual, exactDual, softTopKSegment } from "../../src/reference/soft-top-k.ts";
import type { SoftTopKProblem } from "../../src/reference/soft-top-k.ts";
import { goldenCases, goldenK, goldenPrecision, goldenScores } from "../golden-soft-top-k.ts";

const scores = Float64Array.from(goldenScores);

describe("golden vectors", () => {
  test.each(goldenCases)("$name", ({ problem, a, weights, sum }) => {
    const dual =
      problem.mode === "exact" ? exactDual(scores, goldenK, problem.epsilon) : coordinateDual(scores, goldenK, problem);
    expect(Math.abs(dual - a)).toBeLessThanOrEqual(goldenPrecision);
    const found = softTopKSegment(scores, goldenK, problem);
    weights.forEach((weight, i) =>
      expect(Math.abs((found[i] as number) - weight)).toBeLessThanOrEqual(goldenPrecision),
    );
    if (sum !== undefined)
      expect(Math.abs(found.reduce((total, weight) => total + weight, 0) - sum.value)).toBeLessThanOrEqual(
        sum.precision,
      );
  });

  test("the exact operator is the limit of the iteration", () => {
    const exact = goldenCases[0]?.problem as SoftTopKProblem;
    const converged = coordinateDual(scores, goldenK, {
      ...exact,
      mode: "paper",
      iterations: 2000,
      epsilonStart: 4,
      epsilonDecay: 0.7,
      epsilon: 0.1,
    });
    expect(Math.abs(converged - exactDual(scores, goldenK, 0.1))).toBeLessThan(1e-9);
  });
});

const segment = fc
  .array(fc.double({ min: -1e4, max: 1e4, noNaN: true }), { minLength: 1, maxLength: 60 })
  .chain((values) =>
    fc.record({ values: fc.constant(Float64Array.from(values)), k: fc.integer({ min: 0, max: values.length }) }),
  );
const epsilon = fc.double({ min: 0.01, max: 10, noNaN: true });

function problemOf(mode: SoftTopKProblem["mode"], value: number): SoftTopKProblem {
  return { mode, epsilon: value, iterations: 20, epsilonStart: 4, epsilonDecay: 0.7 };
}

describe("properties", () => {
  test("exact weights sum to k and lie in [0, 1]", () => {
    fc.assert(
      fc.property(segment, epsilon, ({ values, k }, value) => {
        const weights = softTopKSegment(values, k, problemOf("exact", value));
        // Exponents reach 2e4 / 0.01: float64 leaves them ten digits.
        expect(Math.abs(weights.reduce((total, weight) => total + weight, 0) - k)).toBeLessThanOrEqual(
          1e-8 * Math.max(k, 1),
        );
        for (const weight of weights) expect(weight >= 0 && weight <= 1).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test.each(["paper", "exact"] as const)("%s weights grow with the score", (mode) => {
    fc.assert(
      fc.property(segment, epsilon, ({ values, k }, value) => {
        const sorted = values.slice().sort();
        const weights = softTopKSegment(sorted, k, problemOf(mode, value));
        for (let i = 1; i < weights.length; i += 1)
          expect(weights[i] as number).toBeGreaterThanOrEqual(weights[i - 1] as number);
      }),
      { numRuns: 200 },
    );
  });

  test.each(["paper", "exact"] as const)("%s weights move with their scores", (mode) => {
    fc.assert(
      fc.property(segment, epsilon, ({ values, k }, value) => {
        const forwards = softTopKSegment(values, k, problemOf(mode, value));
        const backwards = softTopKSegment(values.slice().reverse(), k, problemOf(mode, value)).reverse();
        forwards.forEach((weight, i) => expect(Math.abs(weight - (backwards[i] as number))).toBeLessThanOrEqual(1e-8));
      }),
      { numRuns: 200 },
    );
  });

  test("k = 1 is a softmax", () => {
    const weights = softTopKSegment(scores, 1, problemOf("exact", 0.5));
    const terms = scores.map((score) => Math.exp(score / 0.5));
    const total = terms.reduce((sum, term) => sum + term, 0);
    terms.forEach((term, i) => expect(Math.abs(term / total - (weights[i] as number))).toBeLessThan(1e-12));
  });
});
