/** @file The gradient rule of `row-dot`. */

import { describe, test } from "vitest";
import { rowDot } from "../../src/ops/row-dot.ts";
import type { Value } from "../../src/graph/value.ts";
import { checkGradient } from "./check-gradient.ts";
import { numbers } from "./sources.ts";

describe.each([
  [1, 1],
  [3, 5],
  [19, 12],
])("%i x %i", (rows, width) => {
  test("one vector", async () => {
    await checkGradient({
      sources: { x: numbers(1, [rows, width]), w: numbers(2, [width]) },
      build: (b, { x, w }) => [b.op(rowDot, { x, w }, {}).y as Value],
    });
  });

  test.each(["x", "w"])("one vector, %s alone", async (parameter) => {
    await checkGradient({
      sources: { x: numbers(1, [rows, width]), w: numbers(2, [width]) },
      leaves: [{ parameter }],
      build: (b, { x, w }) => [b.op(rowDot, { x, w }, {}).y as Value],
    });
  });

  test("rows of their own", async () => {
    await checkGradient({
      sources: { x: numbers(1, [rows, width]), w: numbers(2, [rows, width]) },
      build: (b, { x, w }) => [b.op(rowDot, { x, w }, {}).y as Value],
    });
  });

  test("squared lengths", async () => {
    await checkGradient({
      sources: { x: numbers(1, [rows, width]) },
      build: (b, { x }) => [b.op(rowDot, { x, w: x }, {}).y as Value],
    });
  });
});
