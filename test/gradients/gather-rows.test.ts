/** @file The gradient rule of `gather-rows`: indices that a run is given may repeat and point nowhere, the device's own are distinct. */

import { expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { checkGradient } from "./check-gradient.ts";
import { NOWHERE, numbers, selected, table } from "./sources.ts";

const TABLES = {
  "in order": [0, 1, 2, 3, 4],
  "each once, in disorder": [3, 0, 4, 2, 1],
  repeated: [2, 2, 0, 2, 4, 0, 2],
  "pointing nowhere": [NOWHERE, 1, 5, 1, NOWHERE],
  one: [3],
};

test.each(Object.entries(TABLES))("given indices, %s", async (_, rows) => {
  for (const width of [3, 8]) {
    await checkGradient({
      sources: { x: numbers(1, [5, width]), rows: table(...rows) },
      build: (b, { x, rows: indices }) => [b.op(gatherRows, { x, rows: indices }, {}).y as Value],
    });
  }
});

test("indices that the device finds", async () => {
  const { sources, rows, sizes } = selected([4, 0, 7], [2, 0, 3]);
  await checkGradient({
    sources: { ...sources, x: numbers(1, [11, 5]) },
    sizes,
    leaves: [{ parameter: "x" }],
    build: (b, values) => [b.op(gatherRows, { x: values.x, rows: rows(b, values) }, {}).y as Value],
  });
});

test("rows from two tables are added up", async () => {
  await checkGradient({
    sources: { x: numbers(1, [5, 4]), left: table(0, 0, 1), right: table(1, 4) },
    build: (b, { x, left, right }) => [left, right].map((rows) => b.op(gatherRows, { x, rows }, {}).y as Value),
  });
});

test("what stands in for missing rows has no gradient", () => {
  const b = new GraphBuilder({ differentiable: true });
  const inputs = { x: b.parameter("x", [5, 4]), rows: b.input("rows", [3], "u32"), fill: b.parameter("fill", [4]) };
  const y = b.op(gatherRows, inputs, {}).y as Value;
  const seeds = [{ value: y, gradient: b.parameter("seed", [3, 4]) }];
  expect(() => backpropagate(b, seeds, [{ parameter: "fill" }])).toThrow(
    "gather-rows: the gradient of fill is not built",
  );
});
