/** @file `segment-combine` on the device against float64. */

import { expect, test } from "vitest";
import { segmentCombineCases } from "../../src/cases/segment-combine.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { segmentCombine } from "../../src/ops/segment-combine.ts";
import { segmentCombine as reference } from "../../src/reference/segment-combine.ts";
import { describeOp } from "./check-case.ts";

describeOp(segmentCombine, reference, segmentCombineCases);

const b = { shape: [runtimeDim("rows"), 12], element: "f32" } as const;
const inputs = {
  a: b,
  b,
  weight: { shape: [runtimeDim("segments"), 3], element: "f32" },
  segments: { shape: [runtimeDim("offsets")], element: "u32" },
} as const;

test("segment-combine names what does not fit", () => {
  const { a: _, ...withoutA } = inputs;
  const weight = { shape: [2, 5], element: "f32" } as const;
  expect(segmentCombine.infer(withoutA, { mode: "add" })).toEqual({ y: b });
  expect(() => segmentCombine.infer(withoutA, { mode: "choose" })).toThrow("input a is missing");
  expect(() => segmentCombine.infer({ ...inputs, weight }, { mode: "add" })).toThrow(
    "b axis 1 is 12, expected a multiple of the 5 weights",
  );
  expect(() => segmentCombine.infer(inputs, { mode: "mul" as "add" })).toThrow("mode is mul");
  const fixed = { ...inputs, weight: { ...weight, shape: [2, 3] }, segments: { shape: [2], element: "u32" } } as const;
  expect(() => segmentCombine.infer(fixed, { mode: "add" })).toThrow("segments axis 0 is 2, expected 3");
});

test("segment-combine counts a multiply-add per element, and nothing for a choice", () => {
  const sizes: Record<string, number> = { rows: 10, segments: 2, offsets: 3 };
  const size = (dim: number | { symbol: string }): number =>
    typeof dim === "number" ? dim : (sizes[dim.symbol] as number);
  const bytes = 4 * (3 * 120 + 6 + 3);
  const cost = (mode: "add" | "choose"): unknown =>
    segmentCombine.cost({ inputs, outputs: { y: b }, attributes: { mode } }, size);
  expect(cost("add")).toEqual({ flops: 240, bytes });
  expect(cost("choose")).toEqual({ flops: 0, bytes });
});
