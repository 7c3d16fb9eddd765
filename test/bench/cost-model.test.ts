/** @file The formula of the cost model, against the published table of MATHS §1.6 and against broken counts. */

import { describe, expect, test } from "vitest";
import { denseTerms, expectSameTerms, layersOf, routedTerms, totalOf } from "../../src/bench/cost-model.ts";

const bertBase = { width: 768, ffnWidth: 3072, bottleneck: 64 };
const t5XL = { width: 2048, ffnWidth: 5120, bottleneck: 64, gated: true };

/** FLOP ratios of dense + adapter over CoDA: n, r, k-to-k, k-to-all (MATHS §1.6). */
const TABLE = [
  [bertBase, 128, 2, 2.0, 1.7],
  [bertBase, 128, 3, 2.95, 2.22],
  [bertBase, 128, 8, 7.47, 3.61],
  [bertBase, 512, 2, 2.08, 1.72],
  [bertBase, 512, 3, 3.12, 2.27],
  [bertBase, 512, 5, 5.12, 3.04],
  [bertBase, 512, 8, 7.99, 3.77],
  [bertBase, 1024, 3, 3.32, 2.32],
  [bertBase, 1024, 5, 5.54, 3.15],
  [t5XL, 512, 2, 2.03, 1.71],
  [t5XL, 512, 3, 3.05, 2.23],
  [t5XL, 512, 4, 4.06, 2.64],
  [t5XL, 512, 5, 5.03, 2.96],
  [t5XL, 512, 8, 8.0, 3.64],
] as const;

describe("cost model", () => {
  test.each(TABLE)("%o, n = %i, r = %i: %f and %f", (layer, n, reduction, selected, all) => {
    const dense = totalOf(denseTerms(layer, [n]));
    expect(dense / totalOf(routedTerms(layer, [n], reduction, "k-to-k"))).toBeCloseTo(selected, 2);
    expect(dense / totalOf(routedTerms(layer, [n], reduction, "k-to-all"))).toBeCloseTo(all, 2);
  });

  test("sequences of a batch do not see one another", () => {
    const batch = denseTerms(bertBase, [64, 64]);
    expect(batch).toEqual(layersOf(2, denseTerms(bertBase, [64])));
    expect(batch.matmul).toBe(denseTerms(bertBase, [128]).matmul);
    expect(batch.attention).toBe(denseTerms(bertBase, [128]).attention / 2);
  });

  test("r = 1 is the dense layer and its router", () => {
    for (const attention of ["k-to-k", "k-to-all"] as const) {
      const { router, ...others } = routedTerms(bertBase, [7, 1, 30], 1, attention);
      expect({ ...others, router: 0 }).toEqual(denseTerms(bertBase, [7, 1, 30]));
      expect(router).toBe(2 * 38 * 768);
    }
  });

  test("one FLOP too many or too few in any term is refused, and named", () => {
    const terms = routedTerms(bertBase, [5, 9], 3, "k-to-all");
    expect(() => expectSameTerms("layer", terms, { ...terms })).not.toThrow();
    for (const kind of ["matmul", "attention", "adapter", "router"] as const) {
      for (const error of [-1, 1]) {
        const wrong = { ...terms, [kind]: terms[kind] + error };
        expect(() => expectSameTerms("layer", terms, wrong)).toThrow(`the ops of the graph ${wrong[kind]}`);
        expect(() => expectSameTerms("layer", terms, wrong)).toThrow(`FLOP of ${kind}`);
      }
    }
  });
});
