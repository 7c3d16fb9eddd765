/** @file `pool` on the device against float64. */

import { expect, test } from "vitest";
import { runtimeDim } from "../../src/ops/op.ts";
import { poolCases } from "../../src/cases/pool.ts";
import { pool } from "../../src/ops/pool.ts";
import { pool as reference } from "../../src/reference/pool.ts";
import { describeOp } from "./check-case.ts";

describeOp(pool, reference, poolCases);

test("pool takes its rows from the table, or from a symbol", () => {
  const x = { shape: [runtimeDim("rows"), 8], element: "f32" } as const;
  const run = { shape: [runtimeDim("offsets")], element: "u32" } as const;
  expect(pool.infer({ x, segments: { shape: [4], element: "u32" } }, { mode: "mean" }).y?.shape).toEqual([3, 8]);
  expect(pool.infer({ x, segments: run }, { mode: "mean", count: "sequences" }).y?.shape).toEqual([
    runtimeDim("sequences"),
    8,
  ]);
  expect(() => pool.infer({ x, segments: run }, { mode: "mean" })).toThrow("expected a number known before the run");
  expect(() => pool.infer({ x, segments: run }, { mode: "max" as "mean", count: "sequences" })).toThrow("mode is max");
});
