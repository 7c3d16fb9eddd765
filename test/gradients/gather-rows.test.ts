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

test.each([0, 1, 2])("slot %i of three is trained", async (slot) => {
  for (const width of [3, 8]) {
    await checkGradient({
      sources: { x: numbers(1, [6, width]), rows: table(4, 0, 5, 5, NOWHERE, 2, 0, 3) },
      leaves: [{ parameter: "x", slot, elements: 2 * width }],
      build: (b, { x, rows }) => [b.op(gatherRows, { x, rows }, {}).y as Value],
    });
  }
});

test("a slot whose rows the device finds is refused", () => {
  const { sources, rows } = selected([4], [2]);
  const b = new GraphBuilder({ differentiable: true });
  const values = Object.fromEntries(
    Object.entries(sources).map(([name, { shape, data, input }]) => {
      const element = data instanceof Uint32Array ? "u32" : "f32";
      return [name, input === true ? b.input(name, shape, element) : b.parameter(name, shape, element)];
    }),
  );
  const y = b.op(gatherRows, { x: b.parameter("x", [4, 4]), rows: rows(b, values) }, {}).y as Value;
  const seeds = [{ value: y, gradient: b.parameter("seed", y.type.shape) }];
  expect(() => backpropagate(b, seeds, [{ parameter: "x", slot: 1, elements: 8 }])).toThrow(
    "rows that the device finds are of a slot that is trained",
  );
});

test("rows from two tables are added up", async () => {
  await checkGradient({
    sources: { x: numbers(1, [5, 4]), left: table(0, 0, 1), right: table(1, 4) },
    build: (b, { x, left, right }) => [left, right].map((rows) => b.op(gatherRows, { x, rows }, {}).y as Value),
  });
});

test.each([
  ["some", [NOWHERE, 1, 7, 1, NOWHERE, 0]],
  ["none", [2, 0, 2]],
  ["all", [NOWHERE, 5]],
])("what stands in for missing rows, %s of them", async (_, rows) => {
  for (const leaves of [["x", "fill"], ["fill"]]) {
    await checkGradient({
      sources: { x: numbers(1, [5, 6]), fill: numbers(2, [6]), rows: table(...rows) },
      leaves: leaves.map((parameter) => ({ parameter })),
      build: (b, { x, fill, rows: indices }) => [b.op(gatherRows, { x, fill, rows: indices }, {}).y as Value],
    });
  }
});
