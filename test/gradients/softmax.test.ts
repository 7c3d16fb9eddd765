/** @file The gradient rule of `softmax`. */

import { test } from "vitest";
import { softmax } from "../../src/ops/softmax.ts";
import { checkGradient } from "./check-gradient.ts";
import { numbers } from "./sources.ts";

test.each([
  [1, 1],
  [5, 3],
  [7, 48],
])("%i x %i", async (rows, width) => {
  await checkGradient({
    sources: { x: numbers(1, [rows, width], 2) },
    build: (b, { x }) => [b.op(softmax, { x }, {}).y as NonNullable<typeof x>],
  });
});
