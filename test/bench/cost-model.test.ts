/** @file The cost model: against the published table of MATHS §1.6, and against the ops of the graphs that models run. */

import { describe, expect, test } from "vitest";
import { denseFlops, expectSameFlops, routedFlops } from "../../src/bench/cost-model.ts";

const bertBase = { width: 768, ffnWidth: 3072, bottleneck: 64 };

/** FLOP ratios of dense + adapter over CoDA: n, r, k-to-k, k-to-all (MATHS §1.6). */
const TABLE = [
  [128, 2, 2.0, 1.7],
  [128, 3, 2.95, 2.22],
  [128, 8, 7.47, 3.61],
  [512, 2, 2.08, 1.72],
  [512, 3, 3.12, 2.27],
  [512, 5, 5.12, 3.04],
  [512, 8, 7.99, 3.77],
  [1024, 3, 3.32, 2.32],
  [1024, 5, 5.54, 3.15],
] as const;

describe("cost model", () => {
  test.each(TABLE)("n = %i, r = %i: %f and %f", (n, reduction, selected, all) => {
    const dense = denseFlops(bertBase, [n]);
    expect(dense / routedFlops(bertBase, [n], reduction, "k-to-k")).toBeCloseTo(selected, 2);
    expect(dense / routedFlops(bertBase, [n], reduction, "k-to-all")).toBeCloseTo(all, 2);
  });

  test("sequences of a batch do not see one another", () => {
    const batch = denseFlops(bertBase, [64, 64]);
    expect(batch).toBe(2 * denseFlops(bertBase, [64]));
    expect(batch).toBeLessThan(denseFlops(bertBase, [128]));
  });

  test("accepts the biases that the ops count and nothing more", () => {
    expect(() => expectSameFlops("layer", 768, 1e9, 1e9 * (1 + 1 / 1600))).not.toThrow();
    expect(() => expectSameFlops("layer", 768, 1e9, 1e9 * 1.001)).toThrow(/the cost model gives/);
    expect(() => expectSameFlops("layer", 768, 1e9, 0.999e9)).toThrow(/the cost model gives/);
  });
});
