/** @file `soft-top-k-gradient` on the device: against float64, the golden gradients, and what is refused. */

import { describe, expect, test } from "vitest";
import { normal } from "../../src/cases/case.ts";
import { paperTolerance } from "../../src/cases/soft-top-k.ts";
import { softTopKGradientCases } from "../../src/cases/soft-top-k-gradient.ts";
import { softTopKGradient } from "../../src/ops/soft-top-k-gradient.ts";
import type { SoftTopKAttributes } from "../../src/ops/soft-top-k.ts";
import { softTopKGradient as reference } from "../../src/reference/soft-top-k-gradient.ts";
import { goldenCases, goldenGradient, goldenK, goldenPrecision, goldenScores } from "../golden-soft-top-k.ts";
import { describeOp } from "./check-case.ts";
import { gradientOf } from "./run-selection.ts";

const VARIANTS = ["lanes-16", "lanes-64", "lanes-256"];

describeOp(softTopKGradient, reference, softTopKGradientCases);

describe("soft-top-k-gradient golden vectors", () => {
  const rows = goldenCases.filter(({ ds }) => ds !== undefined);
  const segment = { scores: Float32Array.from(goldenScores), k: goldenK };
  const largest = Math.max(...goldenGradient.map(Math.abs));

  test("all rows of the table are here", () => expect(rows).toHaveLength(4 + 3));

  test.each(rows)("$name", async ({ problem, ds }) => {
    const { epsilon, epsilonStart, mode } = problem;
    // The solver stops at 1e-6 of the weights; errors of weights are multiplied by |g| / ε.
    const error = mode === "exact" ? 1e-6 : paperTolerance(8, epsilon, epsilonStart, 0.7);
    const precision = goldenPrecision + (error * largest) / epsilon;
    for (const variant of VARIANTS) {
      const found = await gradientOf([segment], Float32Array.from(goldenGradient), { ...problem }, variant);
      ds?.forEach((value, i) =>
        expect(Math.abs((found[i] as number) - value), `${variant} ${i}`).toBeLessThanOrEqual(precision),
      );
    }
  });
});

describe.each(["paper", "exact"] as const)("soft-top-k-gradient, %s", (mode) => {
  const attributes: SoftTopKAttributes = { mode, epsilon: 0.1 };
  const segment = { scores: normal(5, 333, 0.4), k: 111 };
  const others = [
    { scores: normal(6, 77), k: 0 },
    { scores: normal(7, 9), k: 9 },
  ];

  test("is 0 where k = 0 or k = n, and the same bits in every place and run", async () => {
    const gradient = normal(1, 333 + 86);
    for (const variant of VARIANTS) {
      const alone = await gradientOf([segment], gradient.slice(86), attributes, variant);
      const placed = await gradientOf([...others, segment], gradient, attributes, variant);
      expect(placed.slice(86)).toEqual(alone);
      expect(placed.slice(0, 86).every((value) => value === 0)).toBe(true);
      expect(alone.some((value) => value !== 0)).toBe(true);
    }
  });

  test("is 0 where every weight is saturated or nothing", async () => {
    const scores = Float32Array.from({ length: 100 }, (_, i) => (i % 4 === 0 ? 50 : -50));
    const ds = await gradientOf([{ scores, k: 25 }], new Float32Array(100).fill(1), attributes, "lanes-16");
    for (const value of ds) expect(Math.abs(value)).toBeLessThanOrEqual(1e-5);
  });
});

describe("soft-top-k-gradient refuses", () => {
  const rows = { shape: [4], element: "f32" } as const;
  const offsets = { shape: [2], element: "u32" } as const;
  const types = { scores: rows, segments: offsets, selected_segments: offsets, gradient: rows };

  test("more iterations than it keeps", () => {
    softTopKGradient.infer(types, { mode: "paper", epsilon: 1, iterations: 64 });
    expect(() => softTopKGradient.infer(types, { mode: "paper", epsilon: 1, iterations: 65 })).toThrow(
      "iterations is 65, expected at most 64",
    );
  });

  test("the exact mode without weights, and a gradient of another length", () => {
    expect(() => softTopKGradient.infer(types, { mode: "exact", epsilon: 1 })).toThrow("input weights is missing");
    const wrong = { ...types, gradient: { shape: [5], element: "f32" } as const };
    expect(() => softTopKGradient.infer(wrong, { mode: "paper", epsilon: 1 })).toThrow("gradient axis 0 is 5");
  });

  test("attributes that soft top-k refuses", () => {
    expect(() => softTopKGradient.infer(types, { mode: "paper", epsilon: -1 })).toThrow(
      "soft-top-k-gradient: epsilon is -1",
    );
  });
});
