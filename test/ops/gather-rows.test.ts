/** @file `gather-rows` on the device against float64. */

import { expect, test } from "vitest";
import { gatherRowsCases } from "../../src/cases/gather-rows.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { gatherRows as reference } from "../../src/reference/gather-rows.ts";
import { describeOp } from "./check-case.ts";

describeOp(gatherRows, reference, gatherRowsCases);

test("gather-rows names the axis that does not fit", () => {
  const x = { shape: [5, 8], element: "f32" } as const;
  const rows = { shape: [3], element: "u32" } as const;
  expect(() => gatherRows.infer({ x, rows, fill: { shape: [7], element: "f32" } }, {})).toThrow(
    "fill axis 0 is 7, expected 8",
  );
  expect(() => gatherRows.infer({ x, rows: { shape: [3], element: "f32" } }, {})).toThrow(
    "rows holds f32, expected u32",
  );
});

test("gather-rows of whole numbers gives a vector and takes no fill", () => {
  const x = { shape: [5], element: "u32" } as const;
  const rows = { shape: [3], element: "u32" } as const;
  expect(gatherRows.infer({ x, rows }, {})).toEqual({ y: { shape: [3], element: "u32" } });
  expect(() => gatherRows.infer({ x, rows, fill: { shape: [1], element: "f32" } }, {})).toThrow(
    "there is no fill among whole numbers",
  );
  expect(() => gatherRows.infer({ x: { ...x, shape: [5, 1] }, rows }, {})).toThrow("expected rank 1");
});
