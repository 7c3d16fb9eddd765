/** @file `threshold-rows` on the device against float64, and what it refuses. */

import { expect, test } from "vitest";
import { thresholdRowsCases } from "../../src/cases/threshold-rows.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { thresholdRows } from "../../src/ops/threshold-rows.ts";
import { thresholdRows as reference } from "../../src/reference/threshold-rows.ts";
import { describeOp } from "./check-case.ts";

describeOp(thresholdRows, reference, thresholdRowsCases);

test("a threshold that is no finite number, and room for other segments, are refused", () => {
  const offsets = { shape: [runtimeDim("offsets")], element: "u32" } as const;
  const inputs = {
    scores: { shape: [runtimeDim("rows")], element: "f32" },
    segments: offsets,
    capacity_segments: offsets,
  } as const;
  for (const threshold of [Number.NaN, Infinity, -Infinity]) {
    expect(() => thresholdRows.infer(inputs, { threshold, count: "k" })).toThrow(`threshold is ${threshold}`);
  }
  const other = { shape: [3], element: "u32" } as const;
  expect(() => thresholdRows.infer({ ...inputs, capacity_segments: other }, { threshold: 0, count: "k" })).toThrow(
    "capacity_segments axis 0 is 3, expected offsets",
  );
});
