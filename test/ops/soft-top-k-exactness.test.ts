/**
 * @file `soft-top-k` over its whole range: 1 to 65,536 rows and 1 to n selected, scores to ±1e4, ε from 0.01 to 10; what the exact
 * weights sum to; what reordering the rows does.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generator, normal } from "../../src/cases/case.ts";
import type { ScoredSegment } from "../../src/cases/selection.ts";
import { exactTolerance, paperTolerance } from "../../src/cases/soft-top-k.ts";
import type { SoftTopKProblem } from "../../src/reference/soft-top-k.ts";
import { expectedWeights, selectionVariants, split, weightsOf } from "./run-selection.ts";

const variants = [...selectionVariants.slice(0, 3), "blocks-4096"];

function problemOf(mode: SoftTopKProblem["mode"], epsilon: number): SoftTopKProblem {
  return { mode, epsilon, iterations: 20, epsilonStart: 4, epsilonDecay: 0.7 };
}

function toleranceOf(mode: SoftTopKProblem["mode"], n: number, epsilon: number): number {
  return mode === "exact" ? exactTolerance(n) : paperTolerance(n, epsilon, 4, 0.7);
}

/** A shuffle that is the same every time. */
function shuffled<T>(values: readonly T[], seed: number): T[] {
  const uniform = generator(seed);
  const keyed = values.map((value) => ({ value, key: uniform() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ value }) => value);
}

function filled(n: number, value: (i: number) => number): Float32Array {
  return Float32Array.from(
    shuffled(
      Array.from({ length: n }, (_, i) => value(i)),
      n,
    ),
  );
}

/** Scores that are hard to solve for, to tell apart, or to add up. */
const shapes: Readonly<Record<string, (n: number, epsilon: number) => Float32Array>> = {
  normal: (n) => normal(n, n),
  "up to 1e4": (n) => normal(n, n, 3e3).map((score) => Math.min(Math.max(score, -1e4), 1e4)),
  "close together at 1e4": (n) => filled(n, (i) => 1e4 + ((i * 37) % 1024) * 2 ** -10),
  "all equal": (n) => new Float32Array(n).fill(0.3),
  "all equal at -1e4": (n) => new Float32Array(n).fill(-1e4),
  "ties at k": (n) => filled(n, (i) => (i < n / 7 ? 1 : i < n / 2 ? 0.5 : -1)),
  "one dominant": (n) => filled(n, (i) => (i === 0 ? 1e4 : 1e-3 * Math.sin(i))),
  // Each score saturates only once the threshold has passed the one before.
  ladder: (n, epsilon) => filled(n, (i) => -2 * epsilon * i),
  // Slopes that halve again and again between the ends of the descent.
  harmonic: (n, epsilon) => filled(n, (i) => -epsilon * Math.log(i + 1)),
  "harmonic twice": (n, epsilon) => filled(n, (i) => -epsilon * Math.log(i + 1) ** 2),
};

/** Compares every weight with float64 and, where they must, checks their sums to 1e-5 of k. */
async function check(
  segments: readonly ScoredSegment[],
  problem: SoftTopKProblem,
  variant: string,
  where: string,
): Promise<void> {
  const found = await weightsOf(segments, { ...problem }, variant);
  const expected = expectedWeights(segments, problem);
  const longest = Math.max(...segments.map(({ scores }) => scores.length));
  let [worst, outside] = [0, 0];
  found.forEach((weight, i) => {
    worst = Math.max(worst, Math.abs(weight - (expected[i] as number)));
    if (!(weight >= 0 && weight <= 1)) outside += 1;
  });
  const name = `${where} ${problem.mode}, ε ${problem.epsilon}, ${variant}`;
  expect(worst, name).toBeLessThanOrEqual(toleranceOf(problem.mode, longest, problem.epsilon));
  expect(outside, name).toBe(0);
  if (problem.mode === "paper") return;
  split(found, segments).forEach((weights, s) => {
    const k = Math.min((segments[s] as ScoredSegment).k, weights.length);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    expect(Math.abs(sum - k), `${name}, n ${weights.length}, k ${k}: ${sum}`).toBeLessThanOrEqual(1e-5 * k);
  });
}

describe("soft-top-k, every k from 1 to n", () => {
  const settings = [
    ["normal", 0.01],
    ["normal", 1],
    ["up to 1e4", 0.01],
    ["up to 1e4", 10],
    ["close together at 1e4", 0.01],
    ["all equal", 0.1],
    ["ladder", 0.3],
  ] as const;

  test.each([1, 2, 3, 7, 64, 65, 255, 256, 257])("n %i", async (n) => {
    for (const [index, [shape, epsilon]] of settings.entries()) {
      const turn = index + n;
      // A segment for every k: of the longer ones, these settings by turns.
      if (n > 100 && turn % 3 > 0) continue;
      const scores = (shapes[shape] as (typeof shapes)[string])(n, epsilon);
      const segments = Array.from({ length: n }, (_, i) => ({ scores, k: i + 1 }));
      const variant = (["lanes-16", "lanes-64", "blocks-64"] as const)[Math.floor(turn / 3) % 3] as string;
      await check(segments, problemOf("exact", epsilon), variant, `${shape}, n ${n}`);
      await check(segments, problemOf("paper", epsilon), variant, `${shape}, n ${n}`);
    }
  });
});

function chosenRanks(n: number): number[] {
  return [1, 2, 3, Math.ceil(n / 8), Math.ceil(n / 5), Math.ceil(n / 3), n >> 1, n - 1, n, n + 1];
}

describe("soft-top-k of long segments", () => {
  test.each([1000, 4096])("n %i, k 1 to beyond n", async (n) => {
    for (const [index, [shape, make]] of Object.entries(shapes).entries()) {
      const epsilon = [0.01, 1, 10][index % 3] as number;
      const scores = make(n, epsilon);
      const segments = chosenRanks(n).map((k) => ({ scores, k }));
      await check(segments, problemOf("exact", epsilon), variants[index % 4] as string, `${shape}, n ${n}`);
      if ((index + n) % 3 === 0)
        await check(segments, problemOf("paper", epsilon), variants[(index + 1) % 4] as string, `${shape}, n ${n}`);
    }
  });

  test("n 65536, every shape at the smallest ε", async () => {
    const n = 65_536;
    for (const [index, [shape, make]] of Object.entries(shapes).entries()) {
      const segments = [1, 13_107, n - 1].map((k) => ({ scores: make(n, 0.01), k }));
      const variant = index % 2 === 0 ? "lanes-64" : "blocks-4096";
      await check(segments.slice(index % 3, (index % 3) + 1), problemOf("exact", 0.01), variant, `${shape}, n ${n}`);
    }
  });

  test.each(variants)("n 65536, equal terms, whose roundings add up, %s", async (variant) => {
    const scores = new Float32Array(65_536).fill(0.3);
    // Shares k / n whose roundings do not cancel: one sum of all terms of a lane is off by 4e-5 here.
    const segments = [30_001, 45_000].map((k) => ({ scores, k }));
    await check(segments, problemOf("exact", 0.01), variant, "all equal");
  });

  test("n 65536, paper", async () => {
    await check([{ scores: normal(3, 65_536), k: 8192 }], problemOf("paper", 0.03), "lanes-64", "normal");
  });
});

describe("soft-top-k, drawn", () => {
  const drawn = fc.record({
    scores: fc.array(fc.float({ min: -10_000, max: 10_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
    rank: fc.double({ min: 0, max: 1, noNaN: true }),
    epsilon: fc.constantFrom(0.01, 0.03, 0.3, 1, 10),
    mode: fc.constantFrom("exact" as const, "paper" as const),
    variant: fc.constantFrom("lanes-16", "lanes-64", "blocks-64"),
    seed: fc.nat(),
  });

  test("weights are those of float64, and move with their scores", async () => {
    await fc.assert(
      fc.asyncProperty(drawn, async ({ scores, rank, epsilon, mode, variant, seed }) => {
        const k = 1 + Math.floor(rank * (scores.length - 1));
        const order = shuffled([...scores.keys()], seed);
        const plain = { scores: Float32Array.from(scores), k };
        const moved = { scores: Float32Array.from(order, (i) => scores[i] as number), k };
        await check([plain, moved], problemOf(mode, epsilon), variant, "drawn");
        const both = await weightsOf([plain, moved], { ...problemOf(mode, epsilon) }, variant);
        const [first, second] = split(both, [plain, moved]) as [Float32Array, Float32Array];
        const tolerance = toleranceOf(mode, scores.length, epsilon);
        order.forEach((i, j) =>
          expect(Math.abs((first[i] as number) - (second[j] as number))).toBeLessThanOrEqual(tolerance),
        );
      }),
      { numRuns: 40, seed: 3 },
    );
  });
});
