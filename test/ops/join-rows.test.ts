/** @file `join-rows` on the device against float64. */

import { expect, test } from "vitest";
import { joinRowsCases } from "../../src/cases/join-rows.ts";
import { joinRows } from "../../src/ops/join-rows.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { joinRows as reference } from "../../src/reference/join-rows.ts";
import { describeOp } from "./check-case.ts";

describeOp(joinRows, reference, joinRowsCases);

const rows = runtimeDim("rows");
const inputs = {
  a: { shape: [runtimeDim("a_rows"), 24], element: "f32" },
  b: { shape: [5, 8], element: "f32" },
  rows: { shape: [rows], element: "u32" },
} as const;

test("join-rows names what does not fit", () => {
  expect(joinRows.infer(inputs, { width: 8, aAt: 16 })).toEqual({ y: { shape: [rows, 8], element: "f32" } });
  expect(() => joinRows.infer(inputs, { width: 8, aAt: 17 })).toThrow(
    "8 elements from aAt = 17 do not lie inside a row of a",
  );
  expect(() => joinRows.infer(inputs, { width: 8, bAt: 1 })).toThrow("bAt = 1 do not lie inside a row of b of 8");
  expect(() => joinRows.infer(inputs, { width: 0 })).toThrow("width is 0");
  expect(() => joinRows.infer({ ...inputs, rows: { shape: [rows], element: "f32" } }, { width: 8 })).toThrow(
    "rows holds f32, expected u32",
  );
  const half = { shape: [5, 8], element: "f16" } as const;
  expect(() => joinRows.infer({ ...inputs, b: half }, { width: 8 })).toThrow("b holds f16, expected f32");
});

test("join-rows counts no arithmetic and the rows it looks up", () => {
  const attributes = { width: 8 };
  const size = (dim: number | { symbol: string }): number => (typeof dim === "number" ? dim : 1000);
  const cost = joinRows.cost({ inputs, outputs: joinRows.infer(inputs, attributes), attributes }, size);
  expect(cost).toEqual({ flops: 0, bytes: 4 * (2 * 8000 + 1000) });
});
