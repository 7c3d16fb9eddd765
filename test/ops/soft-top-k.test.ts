/** @file `soft-top-k` on the device: against float64, the golden vectors, what holds for any input, what is refused. */

import { describe, expect, test } from "vitest";
import { normal } from "../../src/cases/case.ts";
import { checkCase } from "../../src/cases/check.ts";
import { softTopKCases } from "../../src/cases/soft-top-k.ts";
import { EngineError } from "../../src/errors.ts";
import { softTopK } from "../../src/ops/soft-top-k.ts";
import type { SoftTopKAttributes } from "../../src/ops/soft-top-k.ts";
import { softTopK as reference } from "../../src/reference/soft-top-k.ts";
import { goldenCases, goldenK, goldenPrecision, goldenScores } from "../golden-soft-top-k.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";
import { blocksFor, expectedWeights, selectionVariants, weightsOf } from "./run-selection.ts";

describeOp(softTopK, reference, softTopKCases);

describe("soft-top-k by blocks, which is only offered for more rows", () => {
  test.each(softTopKCases.cases)("$name", async (opCase) => {
    const result = await checkCase(await sharedGpu(), softTopK, reference, opCase, blocksFor(opCase));
    expect(result.ok, `${result.detail}, tolerance ${result.tolerance}`).toBe(true);
  });
});

describe("soft-top-k golden vectors", () => {
  // The printed digits, and what rounding the scores and ε to f32 and 20 iterations in f32 may add to them.
  const precision = goldenPrecision + 1e-6;
  // Two blocks in eight rows.
  const variants = [...selectionVariants.slice(0, 3), "blocks-4"];

  test.each(goldenCases)("$name", async ({ problem, weights, sum }) => {
    for (const variant of variants) {
      const found = await weightsOf([{ scores: Float32Array.from(goldenScores), k: goldenK }], { ...problem }, variant);
      weights.forEach((weight, i) =>
        expect(Math.abs((found[i] as number) - weight), `${variant} weight ${i}`).toBeLessThanOrEqual(precision),
      );
      if (sum === undefined) continue;
      const total = found.reduce((all, weight) => all + weight, 0);
      expect(Math.abs(total - sum.value), variant).toBeLessThanOrEqual(sum.precision + found.length * 1e-6);
    }
  });
});

describe.each(["paper", "exact"] as const)("soft-top-k, %s", (mode) => {
  const attributes: SoftTopKAttributes = { mode, epsilon: 0.05 };
  const segment = { scores: normal(5, 333, 0.4), k: 111 };

  test.each(selectionVariants)("weights never fall as the score rises, %s", async (variant) => {
    for (const deviation of [0.001, 0.4, 30]) {
      const sorted = { scores: normal(5, 2000, deviation).sort(), k: 680 };
      const weights = await weightsOf([sorted], attributes, variant);
      const fall = weights.findIndex((weight, i) => i > 0 && weight < (weights[i - 1] as number));
      expect(fall, `deviation ${deviation}: weights ${weights[fall - 1]}, then ${weights[fall]}`).toBe(-1);
    }
  });

  test("a segment's bits are the same in every run and in every place", async () => {
    for (const variant of selectionVariants) {
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

  test("scores of minus infinity weigh nothing and change nothing", async () => {
    const padding = Float32Array.from({ length: 90 }, () => -Infinity);
    const padded = { scores: Float32Array.from([...segment.scores, ...padding]), k: segment.k };
    const problem = { epsilon: 0.05, iterations: 20, epsilonStart: 4, epsilonDecay: 0.7, mode };
    const expected = expectedWeights([segment], problem);
    for (const variant of selectionVariants) {
      const weights = await weightsOf([padded], attributes, variant);
      expect([...weights.subarray(333)]).toEqual([...padding].map(() => 0));
      expected.forEach((weight, i) => expect(Math.abs((weights[i] as number) - weight)).toBeLessThanOrEqual(1e-4));
    }
  });
});

test("soft-top-k: the exponential does not fall where its exponent changes", async () => {
  // From b = -s the first threshold is ε ln(n / k), whatever the scores: here ln 2. Neighbouring floats around half powers of two.
  const centres = [1, 2, 3, 8, 21].map((j) => Math.LN2 * (1.5 - j));
  const scores = centres.toReversed().flatMap((centre) => {
    const bits = new Uint32Array(Float32Array.of(centre).buffer)[0] as number;
    const around = Uint32Array.from({ length: 400 }, (_, i) => bits - 200 + i);
    return [...new Float32Array(around.buffer)].sort((a, b) => a - b);
  });
  const segment = { scores: Float32Array.from(scores), k: scores.length / 2 };
  const attributes = { mode: "paper", epsilon: 1, iterations: 1, epsilonStart: 0, start: "minus-scores" } as const;
  const weights = await weightsOf([segment], attributes, "lanes-16");
  expect(weights.findIndex((weight, i) => i > 0 && weight < (weights[i - 1] as number))).toBe(-1);
  weights.forEach((weight, i) => {
    const expected = Math.exp(Math.min((scores[i] as number) - Math.LN2, 0));
    expect(Math.abs(weight / expected - 1)).toBeLessThanOrEqual(2e-6);
  });
});

test("soft-top-k, exact: infinities share what is left as the largest numbers would", async () => {
  const scores = Float32Array.from([-Infinity, 0, Infinity, 3e38, Infinity, -1, 0]);
  for (const variant of [...selectionVariants, "blocks-4"]) {
    expect([...(await weightsOf([{ scores, k: 1 }], { mode: "exact", epsilon: 1 }, variant))]).toEqual([
      0, 0, 0.5, 0, 0.5, 0, 0,
    ]);
    expect([...(await weightsOf([{ scores, k: 3 }], { mode: "exact", epsilon: 1 }, variant))]).toEqual([
      0, 0, 1, 1, 1, 0, 0,
    ]);
  }
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
    ["start", { mode: "paper", epsilon: 1, start: "anywhere" }],
  ])("a bad %s", (name, attributes) => {
    expect(() => softTopK.infer(types, attributes as SoftTopKAttributes)).toThrow(new RegExp(`soft-top-k: ${name}`));
  });

  test("tables of different lengths", () => {
    const wrong = { ...types, selected_segments: { shape: [3], element: "u32" } as const };
    expect(() => softTopK.infer(wrong, { mode: "exact", epsilon: 1 })).toThrow(EngineError);
  });
});
