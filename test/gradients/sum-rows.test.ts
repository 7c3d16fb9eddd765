/** @file The gradient rule of `sum-rows`. */

import { test } from "vitest";
import type { Value } from "../../src/graph/value.ts";
import { sumRows } from "../../src/ops/sum-rows.ts";
import { checkGradient } from "./check-gradient.ts";
import { numbers } from "./sources.ts";

test.each([
  [1, 1],
  [19, 3],
  [5, 8],
])("%i x %i", async (rows, width) => {
  const x = numbers(1, [rows, width]);
  await checkGradient({ sources: { x }, build: (b, values) => [b.op(sumRows, values, {}).y as Value] });
  const sources = { x, weight: numbers(2, [rows]) };
  await checkGradient({ sources, build: (b, values) => [b.op(sumRows, values, {}).y as Value] });
});

test.each(["x", "weight"])("%s alone", async (parameter) => {
  await checkGradient({
    sources: { x: numbers(1, [5, 4]), weight: numbers(2, [5]) },
    leaves: [{ parameter }],
    build: (b, values) => [b.op(sumRows, values, {}).y as Value],
  });
});
