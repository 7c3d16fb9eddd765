/** @file `segment-affine` on the device against float64. */

import { expect, test } from "vitest";
import { segmentAffineCases } from "../../src/cases/segment-affine.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { segmentAffine } from "../../src/ops/segment-affine.ts";
import { segmentAffine as reference } from "../../src/reference/segment-affine.ts";
import { describeOp } from "./check-case.ts";

describeOp(segmentAffine, reference, segmentAffineCases);

const rows = runtimeDim("rows");
const inputs = {
  x: { shape: [rows, 8], element: "f32" },
  bank: { shape: [3, 32], element: "f32" },
  segments: { shape: [runtimeDim("offsets")], element: "u32" },
  segment_slots: { shape: [runtimeDim("segments")], element: "u32" },
} as const;

test("segment-affine names what does not fit", () => {
  const infer = (attributes: Parameters<typeof segmentAffine.infer>[1], more = {}): unknown =>
    segmentAffine.infer({ ...inputs, ...more }, attributes);
  expect(infer({ scaleAt: 0, shiftAt: 8, firstColumn: 16 })).toEqual({ y: { shape: [rows, 8], element: "f32" } });
  expect(() => infer({ scaleAt: 0, shiftAt: 16, firstColumn: 16 })).toThrow(
    "8 elements from shiftAt + firstColumn = 32",
  );
  expect(() => infer({ scaleAt: 25 })).toThrow("8 elements from scaleAt + firstColumn = 25");
  expect(() => infer({ scaleAt: 4, firstColumn: -4 })).toThrow("firstColumn = -4");
  expect(() => infer({ shiftAt: 0.5 })).toThrow("shiftAt = 0.5");
  expect(() => infer({}, { residual: { shape: [rows, 7], element: "f32" } })).toThrow(
    "residual axis 1 is 7, expected 8",
  );
  expect(() => infer({}, { segment_slots: { shape: [2], element: "f32" } })).toThrow("segment_slots holds f32");
  const fixed = { segments: { shape: [4], element: "u32" }, segment_slots: { shape: [2], element: "u32" } };
  expect(() => infer({}, fixed)).toThrow("segments axis 0 is 4, expected 3");
});

test("segment-affine takes vectors only where every place is a multiple of 4", () => {
  const variants = (attributes: Parameters<typeof segmentAffine.infer>[1]): unknown =>
    segmentAffine.variants(
      { inputs, outputs: segmentAffine.infer(inputs, attributes), attributes },
      {} as never,
      Number,
    );
  expect(variants({ scaleAt: 0, shiftAt: 8 })).toEqual(["vector", "scalar"]);
  expect(variants({ scaleAt: 0, shiftAt: 9 })).toEqual(["scalar"]);
  expect(variants({ scaleAt: 1, shiftAt: 7, firstColumn: 1 })).toEqual(["scalar"]);
  expect(variants({ scaleAt: 2, firstColumn: 2 })).toEqual(["vector", "scalar"]);
  expect(variants({ firstColumn: 1 })).toEqual(["vector", "scalar"]);
});

test("segment-affine costs a multiply-add per element and the vectors of the slots in use", () => {
  const sizes: Record<string, number> = { rows: 10, segments: 2, offsets: 3 };
  const size = (dim: number | { symbol: string }): number =>
    typeof dim === "number" ? dim : (sizes[dim.symbol] as number);
  const attributes = { scaleAt: 0, shiftAt: 8 };
  const outputs = segmentAffine.infer(inputs, attributes);
  const tables = 4 * (3 + 2);
  const cost = segmentAffine.cost({ inputs, outputs, attributes }, size);
  expect(cost).toEqual({ flops: 160, bytes: 4 * 2 * 80 + tables + 4 * 2 * 2 * 8 });
  sizes.segments = 50;
  expect(segmentAffine.cost({ inputs, outputs, attributes: { scaleAt: 0 } }, size).bytes).toBe(
    4 * 2 * 80 + 4 * (3 + 50) + 4 * 3 * 8,
  );
});
