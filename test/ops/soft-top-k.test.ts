/** @file `soft-top-k` on the device: against float64, the golden vectors, and what holds for any input. */

import { describe, expect, test } from "vitest";
import type { OpCase } from "../../src/cases/case.ts";
import { normal } from "../../src/cases/case.ts";
import { selectionInputs } from "../../src/cases/selection.ts";
import type { ScoredSegment } from "../../src/cases/selection.ts";
import { softTopKCases } from "../../src/cases/soft-top-k.ts";
import { EngineError } from "../../src/errors.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { softTopK } from "../../src/ops/soft-top-k.ts";
import type { SoftTopKAttributes } from "../../src/ops/soft-top-k.ts";
import { softTopK as reference } from "../../src/reference/soft-top-k.ts";
import { goldenCases, goldenK, goldenPrecision, goldenScores } from "../golden-soft-top-k.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

const VARIANTS = ["lanes-16", "lanes-64", "lanes-256"];

async function weightsOf(
  segments: readonly ScoredSegment[],
  attributes: SoftTopKAttributes,
  variant: string,
): Promise<Float32Array> {
  const opCase: OpCase = { name: "", attributes, inputs: () => selectionInputs(segments), tolerance: 0 };
  return (await evaluateCase(await sharedGpu(), softTopK, opCase, variant)).weights?.data as Float32Array;
}

describeOp(softTopK, reference, softTopKCases);

describe("soft-top-k golden vectors", () => {
  // The printed digits, and what rounding the scores and ε to f32 and 20 iterations in f32 may add to them.
  const precision = goldenPrecision + 1e-6;

  test.each(goldenCases)("$name", async ({ problem, weights }) => {
    for (const variant of VARIANTS) {
      const found = await weightsOf([{ scores: Float32Array.from(goldenScores), k: goldenK }], { ...problem }, variant);
      weights.forEach((weight, i) =>
        expect(Math.abs((found[i] as number) - weight), `${variant} weight ${i}`).toBeLessThanOrEqual(precision),
      );
    }
  });
});

describe("soft-top-k, exact", () => {
  const scales = [0.01, 1, 4e3];
  const epsilons = [0.01, 0.3, 10];

  test("weights sum to k for scores up to 1e4 and ε from 0.01 to 10", async () => {
    for (const variant of VARIANTS) {
      for (const epsilon of epsilons) {
        const segments = scales.flatMap((scale) =>
          [2, 37, 300, 1025].flatMap((n) =>
            [1, Math.ceil(n / 3), n - 1].map((k) => ({ scores: normal(n + k, n, scale), k })),
          ),
        );
        const weights = await weightsOf(segments, { mode: "exact", epsilon }, variant);
        let start = 0;
        for (const { scores, k } of segments) {
          const sum = weights.subarray(start, start + scores.length).reduce((total, weight) => total + weight, 0);
          expect(Math.abs(sum - k), `${variant} ε ${epsilon} n ${scores.length} k ${k}: ${sum}`).toBeLessThanOrEqual(
            1e-5 * Math.max(k, 1),
          );
          start += scores.length;
        }
      }
    }
  });

  test("weights sum to k where a threshold step frees one score at a time", async () => {
    // Each score saturates only once the threshold has passed the one before: the slowest descent.
    const ladder = Float32Array.from({ length: 600 }, (_, i) => 9 - 0.02 * i);
    for (const k of [1, 2, 300, 599]) {
      const weights = await weightsOf([{ scores: ladder, k }], { mode: "exact", epsilon: 0.01 }, "lanes-64");
      expect(Math.abs(weights.reduce((total, weight) => total + weight, 0) - k)).toBeLessThanOrEqual(1e-5 * k);
    }
  });
});

describe.each(["paper", "exact"] as const)("soft-top-k, %s", (mode) => {
  const attributes: SoftTopKAttributes = { mode, epsilon: 0.05 };
  const segment = { scores: normal(5, 333, 0.4), k: 111 };

  test("weights do not fall as the score rises", async () => {
    const sorted = { scores: segment.scores.slice().sort(), k: segment.k };
    const weights = await weightsOf([sorted], attributes, "lanes-64");
    // The exponential's range reduction may step back by a rounding or two where its exponent changes.
    for (let i = 1; i < weights.length; i += 1) {
      expect(weights[i] as number).toBeGreaterThanOrEqual((weights[i - 1] as number) * (1 - 2 ** -22));
    }
  });

  test("a segment's bits are the same in every run and in every place", async () => {
    for (const variant of VARIANTS) {
      const alone = await weightsOf([segment], attributes, variant);
      expect(await weightsOf([segment], attributes, variant)).toEqual(alone);
      const before = [
        { scores: normal(6, 77), k: 5 },
        { scores: normal(7, 1), k: 1 },
      ];
      const placed = await weightsOf([...before, segment, { scores: normal(8, 90), k: 30 }], attributes, variant);
      expect(placed.slice(78, 78 + 333)).toEqual(alone);
    }
  });
});

describe("soft-top-k refuses", () => {
  const types = {
    scores: { shape: [4], element: "f32" },
    segments: { shape: [2], element: "u32" },
    selected_segments: { shape: [2], element: "u32" },
  } as const;

  test.each([
    ["epsilon", { mode: "exact", epsilon: 0 }],
    ["epsilon", { mode: "exact", epsilon: Number.NaN }],
    ["iterations", { mode: "paper", epsilon: 1, iterations: 0 }],
    ["epsilonDecay", { mode: "paper", epsilon: 1, epsilonDecay: 1.5 }],
    ["mode", { mode: "soft", epsilon: 1 }],
  ])("a bad %s", (name, attributes) => {
    expect(() => softTopK.infer(types, attributes as SoftTopKAttributes)).toThrow(new RegExp(`soft-top-k: ${name}`));
  });

  test("tables of different lengths", () => {
    const wrong = { ...types, selected_segments: { shape: [3], element: "u32" } as const };
    expect(() => softTopK.infer(wrong, { mode: "exact", epsilon: 1 })).toThrow(EngineError);
  });
});
