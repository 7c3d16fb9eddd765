/** @file `binary-cross-entropy` on the device against float64. */

import { expect, test } from "vitest";
import { binaryCrossEntropyCases } from "../../src/cases/binary-cross-entropy.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { binaryCrossEntropyGradient } from "../../src/ops/binary-cross-entropy-gradient.ts";
import { binaryCrossEntropy } from "../../src/ops/binary-cross-entropy.ts";
import { binaryCrossEntropy as reference } from "../../src/reference/binary-cross-entropy.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(binaryCrossEntropy, reference, binaryCrossEntropyCases);

test("binary cross-entropy by hand: −w t ln σ(z) − (1 − t) ln(1 − σ(z))", () => {
  const one = (value: number): { shape: number[]; data: Float64Array } => ({
    shape: [1, 1],
    data: Float64Array.of(value),
  });
  const at = (z: number, t: number, weight?: number): number =>
    reference({
      logits: one(z),
      targets: one(t),
      ...(weight === undefined ? {} : { weights: { shape: [1], data: Float64Array.of(weight) } }),
    }).losses?.data[0] as number;
  const sigma = 1 / (1 + Math.exp(-0.7));
  expect(at(0.7, 1)).toBeCloseTo(-Math.log(sigma), 14);
  expect(at(0.7, 0)).toBeCloseTo(-Math.log(1 - sigma), 14);
  expect(at(0.7, 0.25, 3)).toBeCloseTo(-0.75 * Math.log(sigma) - 0.75 * Math.log(1 - sigma), 14);
  expect(at(-1e4, 1)).toBe(1e4);
  expect(at(NaN, NaN)).toBe(0);
});

test("logits that are no numbers show, and missing targets hide them", async () => {
  const gpu = await sharedGpu();
  const matrix = (...data: number[]): { shape: number[]; data: Float32Array; rows: string } => ({
    shape: [data.length, 1],
    data: Float32Array.from(data),
    rows: "rows",
  });
  const inputs = { logits: matrix(NaN, Infinity, NaN, 1), targets: matrix(0, 0, NaN, 0) };
  const base = { name: "bad", attributes: {}, tolerance: 0 };
  const { losses } = await evaluateCase(gpu, binaryCrossEntropy, { ...base, inputs: () => inputs });
  expect(Array.from(losses?.data as Float32Array, Number.isFinite)).toEqual([false, false, true, true]);
  expect(losses?.data[2]).toBe(0);
  const dy = matrix(1, 1, 1, 1);
  const backward = await evaluateCase(gpu, binaryCrossEntropyGradient, { ...base, inputs: () => ({ ...inputs, dy }) });
  expect(Number.isFinite(backward.dlogits?.data[0])).toBe(false);
  expect(backward.dlogits?.data[2]).toBe(0);
});

test("binary-cross-entropy names what does not fit", () => {
  const logits = { shape: [7, 4], element: "f32" } as const;
  expect(() => binaryCrossEntropy.infer({ logits, targets: { shape: [7, 3], element: "f32" } }, {})).toThrow(
    "targets [7, 3] axis 1 is 3, expected 4",
  );
  const weights = { shape: [3], element: "f32" } as const;
  expect(() => binaryCrossEntropy.infer({ logits, targets: logits, weights }, {})).toThrow("weights [3] axis 0 is 3");
});
