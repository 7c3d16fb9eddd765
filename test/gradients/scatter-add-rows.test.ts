/** @file The gradient rule of `scatter-add-rows`. */

import { describe, test } from "vitest";
import type { Value } from "../../src/graph/value.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { scatterAddRows } from "../../src/ops/scatter-add-rows.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";
import { NOWHERE, numbers, selected, table } from "./sources.ts";

const GIVEN = { rows: table(4, NOWHERE, 0, 5) };

function sources(width: number, weighted: boolean): Readonly<Record<string, Source>> {
  const plain = { base: numbers(1, [6, width]), x: numbers(2, [4, width]), ...GIVEN };
  return weighted ? { ...plain, weight: numbers(3, [6]) } : plain;
}

describe.each([true, false])("weighted: %s", (weighted) => {
  test.each([1, 3, 8])("width %i, one row points nowhere", async (width) => {
    await checkGradient({
      sources: sources(width, weighted),
      build: (b, inputs) => [b.op(scatterAddRows, inputs, {}).y as Value],
    });
  });

  test.each(["base", "x", ...(weighted ? ["weight"] : [])])("%s alone", async (parameter) => {
    await checkGradient({
      sources: sources(4, weighted),
      leaves: [{ parameter }],
      build: (b, inputs) => [b.op(scatterAddRows, inputs, {}).y as Value],
    });
  });

  test("rows that the device finds, read from the base they go back to", async () => {
    const { sources: choice, rows, sizes } = selected([4, 0, 7], [2, 0, 3]);
    await checkGradient({
      sources: { ...choice, base: numbers(1, [11, 5]), ...(weighted ? { weight: numbers(2, [11]) } : {}) },
      sizes,
      leaves: [{ parameter: "base" }, ...(weighted ? [{ parameter: "weight" }] : [])],
      build: (b, values) => {
        const { base, weight } = values;
        const indices = rows(b, values);
        const x = b.op(gatherRows, { x: base, rows: indices }, {}).y;
        return [b.op(scatterAddRows, { base, x, rows: indices, weight }, {}).y as Value];
      },
    });
  });
});
