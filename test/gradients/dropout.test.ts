/** @file The gradient rule of `dropout`: the same mask on the way back, one for each place. */

import { test } from "vitest";
import type { Value } from "../../src/graph/value.ts";
import { dropout } from "../../src/ops/dropout.ts";
import { normal } from "../../src/random.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";

const seed: Source = { shape: [2], data: Uint32Array.of(7, 3), input: true };

test.each([
  [0.1, [9, 8]],
  [0.5, [5, 7]],
  [0, [3, 4]],
])("rate %d", async (rate, shape) => {
  const x: Source = { shape, data: normal(1, (shape[0] as number) * (shape[1] as number)) };
  await checkGradient({
    sources: { x, seed },
    build: (b, values) => [b.op(dropout, values, { rate, stream: 2 }).y as Value],
  });
});

test("two places, one after the other and side by side", async () => {
  const x: Source = { shape: [6, 5], data: normal(1, 30) };
  await checkGradient({
    sources: { x, seed },
    build: (b, values) => {
      const y = b.op(dropout, values, { rate: 0.3, stream: 0 }).y as Value;
      return [
        b.op(dropout, { ...values, x: y }, { rate: 0.3, stream: 1 }).y as Value,
        b.op(dropout, values, { rate: 0.4, stream: 1 }).y as Value,
      ];
    },
  });
});
