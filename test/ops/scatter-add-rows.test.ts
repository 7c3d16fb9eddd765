/** @file `scatter-add-rows` on the device against float64. */

import { expect, test } from "vitest";
import { scatterAddRowsCases } from "../../src/cases/scatter-add-rows.ts";
import { scatterAddRows } from "../../src/ops/scatter-add-rows.ts";
import { scatterAddRows as reference } from "../../src/reference/scatter-add-rows.ts";
import { describeOp } from "./check-case.ts";

describeOp(scatterAddRows, reference, scatterAddRowsCases);

test("scatter-add-rows names the axis that does not fit", () => {
  const base = { shape: [5, 8], element: "f32" } as const;
  const rows = { shape: [3], element: "u32" } as const;
  expect(() => scatterAddRows.infer({ base, rows, x: { shape: [3, 7], element: "f32" } }, {})).toThrow(
    "x axis 1 is 7, expected 8",
  );
  expect(() => scatterAddRows.infer({ base, rows, x: { shape: [4, 8], element: "f32" } }, {})).toThrow(
    "rows axis 0 is 3, expected 4",
  );
});
