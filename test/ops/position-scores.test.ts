/** @file `position-scores` on the device against its exact reference, and what its modes promise. */

import { expect, test } from "vitest";
import { positionScoresCases } from "../../src/cases/position-scores.ts";
import { positionScores } from "../../src/ops/position-scores.ts";
import { positionScores as reference } from "../../src/reference/position-scores.ts";
import { describeOp } from "./check-case.ts";

describeOp(positionScores, reference, positionScoresCases);

const oneSegment = (n: number, k: number, more: Record<string, unknown> = {}): number[] => {
  const tensor = (data: Float64Array | Uint32Array) => ({ shape: [data.length], data });
  const inputs = {
    x: tensor(new Float64Array(n)),
    segments: tensor(Uint32Array.of(0, n)),
    selected_segments: tensor(Uint32Array.of(0, k)),
    keys: tensor(Uint32Array.of(77)),
  };
  return Array.from((reference(inputs, more).y as { data: Float64Array }).data);
};

test("strided marks exactly k rows, the first among them, no two gaps differing by more than one", () => {
  for (let n = 1; n <= 40; n += 1) {
    for (let k = 1; k <= n; k += 1) {
      const chosen = oneSegment(n, k, { mode: "strided" }).flatMap((score, place) => (score === 1 ? [place] : []));
      expect(chosen.length).toBe(k);
      expect(chosen[0]).toBe(0);
      const gaps = chosen.map((place, i) => (chosen[i + 1] ?? n) - place);
      expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThanOrEqual(1);
    }
  }
});

test("random numbers are uniform, and independent of each other between streams, seeds and places", () => {
  const n = 4096;
  const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
  const a = oneSegment(n, 1, { mode: "random", seed: 1, stream: 0 });
  const others = [
    oneSegment(n, 1, { mode: "random", seed: 1, stream: 1 }),
    oneSegment(n, 1, { mode: "random", seed: 2, stream: 0 }),
    [...a.slice(1), a[0] as number],
  ];
  // Five standard deviations of a mean of n uniform numbers (√(1/12 n)), and of a mean product of two centred ones (1/12 √n).
  expect(Math.abs(mean(a) - 0.5)).toBeLessThan(5 / Math.sqrt(12 * n));
  for (const other of others) {
    const product = mean(a.map((value, i) => (value - 0.5) * ((other[i] as number) - 0.5)));
    expect(Math.abs(product)).toBeLessThan(5 / (12 * Math.sqrt(n)));
  }
});
