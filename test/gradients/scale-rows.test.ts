/** @file The gradient rule of `scale-rows`. */

import { expect, test } from "vitest";
import type { Value } from "../../src/graph/value.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import type { TensorType } from "../../src/ops/op.ts";
import { scaleRows } from "../../src/ops/scale-rows.ts";
import { checkGradient } from "./check-gradient.ts";
import { NOWHERE, numbers, selected, table } from "./sources.ts";

test.each([
  [1, 1],
  [5, 3],
  [17, 8],
])("a weight for every row, %i x %i", async (rows, width) => {
  await checkGradient({
    sources: { x: numbers(1, [rows, width]), weight: numbers(2, [rows]) },
    build: (b, { x, weight }) => [b.op(scaleRows, { x, weight }, {}).y as Value],
  });
});

test.each([
  ["each once", [3, 0, 4]],
  ["repeated", [2, 2, 0, 2]],
  ["pointing nowhere", [1, NOWHERE, 6, 1]],
])("weights through given indices, %s", async (_, rows) => {
  await checkGradient({
    sources: { x: numbers(1, [rows.length, 4]), weight: numbers(2, [6]), rows: table(...rows) },
    build: (b, { x, weight, rows: indices }) => [b.op(scaleRows, { x, weight, rows: indices }, {}).y as Value],
  });
});

test("weights through indices that the device finds", async () => {
  const { sources, rows, sizes } = selected([4, 0, 7], [2, 0, 3]);
  await checkGradient({
    sources: { ...sources, x: numbers(1, [11, 5]), weight: numbers(2, [11]) },
    sizes,
    leaves: [{ parameter: "x" }, { parameter: "weight" }],
    build: (b, values) => {
      const indices = rows(b, values);
      const x = b.op(gatherRows, { x: values.x, rows: indices }, {}).y;
      return [b.op(scaleRows, { x, weight: values.weight, rows: indices }, {}).y as Value];
    },
  });
});

test.each([
  [1, 1],
  [5, 3],
  [17, 8],
])("one row, repeated: %i x %i", async (rows, width) => {
  await checkGradient({
    sources: { x: numbers(1, [1, width]), weight: numbers(2, [rows]) },
    build: (b, { x, weight }) => [b.op(scaleRows, { x, weight }, { repeat: true }).y as Value],
  });
});

test("more rows than one, or indices, are not repeated", () => {
  const of = (shape: readonly number[]): TensorType => ({ shape, element: "f32" });
  const infer = (x: TensorType, rows: object): unknown =>
    scaleRows.infer({ x, weight: of([3]), ...rows }, { repeat: true });
  expect(() => infer(of([2, 4]), {})).toThrow("scale-rows: x axis 0, which is repeated, is 2, expected 1");
  expect(() => infer(of([1, 4]), { rows: { shape: [3], element: "u32" } })).toThrow("repeat does not take rows");
});

test.each(["x", "weight"])("%s alone", async (parameter) => {
  await checkGradient({
    sources: { x: numbers(1, [5, 4]), weight: numbers(2, [5]) },
    leaves: [{ parameter }],
    build: (b, { x, weight }) => [b.op(scaleRows, { x, weight }, {}).y as Value],
  });
});
