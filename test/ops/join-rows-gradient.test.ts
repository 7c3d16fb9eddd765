/** @file `join-rows-gradient` on the device against float64. */

import { expect, test } from "vitest";
import { joinRowsGradientCases } from "../../src/cases/join-rows-gradient.ts";
import { joinRowsGradient } from "../../src/ops/join-rows-gradient.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { joinRowsGradient as reference } from "../../src/reference/join-rows-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(joinRowsGradient, reference, joinRowsGradientCases);

test("join-rows-gradient names what does not fit", () => {
  const rows = { shape: [runtimeDim("rows")], element: "u32" } as const;
  const x = { shape: [runtimeDim("rows"), 8], element: "f32" } as const;
  const like = { shape: [5, 12], element: "f32" } as const;
  const inputs = { x, rows, order: rows, like };
  expect(joinRowsGradient.infer(inputs, { source: "b", at: 4 }).y?.shape).toEqual([5, 12]);
  expect(() => joinRowsGradient.infer(inputs, { source: "b", at: 5 })).toThrow("at = 5 do not lie inside a row of b");
  expect(() => joinRowsGradient.infer({ ...inputs, order: { shape: [3], element: "u32" } }, { source: "a" })).toThrow(
    "order axis 0 is 3, expected rows",
  );
  expect(() => joinRowsGradient.infer(inputs, { source: "c" as "a" })).toThrow("source is c");
  const range = { source: "b", at: 4, firstRow: 3, rowCount: 2 } as const;
  expect(joinRowsGradient.infer(inputs, range).y?.shape).toEqual([2, 12]);
  expect(() => joinRowsGradient.infer(inputs, { ...range, rowCount: 3 })).toThrow("rows 3 to 6 are asked for");
  const unknown = { ...inputs, like: { shape: [runtimeDim("table"), 12], element: "f32" } } as const;
  expect(() => joinRowsGradient.infer(unknown, range)).toThrow("like axis 0 is table");
});
