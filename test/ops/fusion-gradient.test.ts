/** @file `fusion-gradient` on the device against float64; its refusals and its cost. */

import { expect, test } from "vitest";
import { fusionGradientCases } from "../../src/cases/fusion-gradient.ts";
import { fusionGradient } from "../../src/ops/fusion-gradient.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { TensorType } from "../../src/ops/op.ts";
import { fusionGradient as reference } from "../../src/reference/fusion-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(fusionGradient, reference, fusionGradientCases);

const rows = runtimeDim("rows");
const f32 = (...shape: TensorType["shape"]): TensorType => ({ shape, element: "f32" });
const table: TensorType = { shape: [1, 12], element: "u32" };
const attributes = { adapters: 2, width: 8, hidden: true };
const inputs = { hidden: f32(rows, 16), score: f32(rows, 24), table, dy: f32(rows, 24) };

test("outputs are those that are wanted", () => {
  expect(fusionGradient.infer(inputs, attributes)).toEqual({ dscore: f32(rows, 24), dhidden: f32(rows, 16) });
  expect(fusionGradient.infer(inputs, { ...attributes, hidden: false })).toEqual({ dscore: f32(rows, 24) });
});

test("errors name the axis and both values", () => {
  expect(() => fusionGradient.infer({ ...inputs, dy: f32(rows, 16) }, attributes)).toThrow("dy axis 1 is 16");
  expect(() => fusionGradient.infer({ ...inputs, dy: f32(4, 24) }, attributes)).toThrow("dy axis 0 is 4");
  expect(() => fusionGradient.infer({ ...inputs, factor: f32(rows, 3) }, attributes)).toThrow("factor axis 1 is 3");
});

test("without the hidden part it costs less", () => {
  const of = (hidden: boolean) => {
    const own = { ...attributes, hidden };
    const outputs = fusionGradient.infer(inputs, own);
    return fusionGradient.cost({ inputs, outputs, attributes: own }, (dim) => (typeof dim === "number" ? dim : 7));
  };
  expect(of(false).flops).toBe(7 * (2 * 10 + 16 * 5));
  expect(of(true).bytes - of(false).bytes).toBe(4 * 7 * 16);
  expect(of(true).flops).toBeGreaterThan(of(false).flops);
});
