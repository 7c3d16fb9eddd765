/** @file `cross-entropy` on the device against float64. */

import { expect, test } from "vitest";
import { normal } from "../../src/cases/case.ts";
import { crossEntropyCases } from "../../src/cases/cross-entropy.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { crossEntropyGradient } from "../../src/ops/cross-entropy-gradient.ts";
import { crossEntropy, noLabel } from "../../src/ops/cross-entropy.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { crossEntropy as reference } from "../../src/reference/cross-entropy.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(crossEntropy, reference, crossEntropyCases);

test("cross-entropy of a uniform guess is ln C, of a sure one 0, by hand", () => {
  const at = (logits: number[], label: number, labelSmoothing: number): number =>
    reference(
      {
        logits: { shape: [1, logits.length], data: Float64Array.from(logits) },
        labels: { shape: [1], data: Uint32Array.of(label) },
      },
      { labelSmoothing },
    ).losses?.data[0] as number;
  expect(at([5, 5, 5], 1, 0)).toBeCloseTo(Math.log(3), 14);
  expect(at([5, 5, 5], 1, 0.3)).toBeCloseTo(Math.log(3), 14);
  expect(at([1000, 0], 0, 0)).toBe(0);
  // p = (1/4, 3/4): 0.9 ln 4 + 0.05 (ln 4 + ln 4/3)
  const smoothed = 0.9 * Math.log(4) + 0.05 * (Math.log(4) + Math.log(4 / 3));
  expect(at([0, Math.log(3)], 0, 0.1)).toBeCloseTo(smoothed, 14);
});

test.each(["lane", "workgroup"])("logits that are no numbers give a loss that is none, %s", async (variant) => {
  const gpu = await sharedGpu();
  const bad = Float32Array.of(0, NaN, 1, 0, 2, 1, Infinity, 2, 1, NaN, NaN, NaN, 1, 2, 3);
  const { losses, normalizer } = await evaluateCase(
    gpu,
    crossEntropy,
    {
      name: "bad",
      attributes: {},
      inputs: () => ({
        logits: { shape: [5, 3], data: bad, rows: "rows" },
        labels: { shape: [5], data: Uint32Array.of(0, 1, 1, 2, 2), rows: "rows" },
      }),
      tolerance: 0,
    },
    variant,
  );
  expect(Array.from(losses?.data as Float32Array, Number.isFinite)).toEqual([false, true, false, false, true]);
  const sums = Array.from({ length: 5 }, (_, row) => normalizer?.data[2 * row + 1]);
  expect(sums.map(Number.isFinite)).toEqual([false, true, false, false, true]);
});

test("a row that takes no part has loss and gradient 0, whatever its logits", async () => {
  const gpu = await sharedGpu();
  const logits = { shape: [2, 3], data: Float32Array.of(NaN, 1, 2, Infinity, 0, 0), rows: "rows" } as const;
  const labels = { shape: [2], data: Uint32Array.of(noLabel, 3), rows: "rows" } as const;
  const base = { name: "masked", attributes: {}, tolerance: 0 };
  const forward = await evaluateCase(gpu, crossEntropy, { ...base, inputs: () => ({ logits, labels }) });
  expect(forward.losses?.data).toEqual(Float32Array.of(0, 0));
  const normalizer = { shape: [2, 2], data: forward.normalizer?.data as Float32Array, rows: "rows" };
  const dy = { shape: [2], data: Float32Array.of(1, 1), rows: "rows" };
  const inputs = { logits, labels, normalizer, dy };
  const backward = await evaluateCase(gpu, crossEntropyGradient, { ...base, inputs: () => inputs });
  expect(backward.dlogits?.data).toEqual(new Float32Array(6));
});

test("a loss has the same bits whatever rows stand beside it", async () => {
  const gpu = await sharedGpu();
  const data = normal(11, 40 * 31, 3);
  const lossesOf = async (first: number, count: number, variant: string): Promise<Float32Array> => {
    const { losses } = await evaluateCase(
      gpu,
      crossEntropy,
      {
        name: "rows",
        attributes: { labelSmoothing: 0.1 },
        inputs: () => ({
          logits: { shape: [count, 31], data: data.slice(first * 31, (first + count) * 31), rows: "rows" },
          labels: { shape: [count], data: Uint32Array.from({ length: count }, (_, r) => first + r), rows: "rows" },
        }),
        tolerance: 0,
      },
      variant,
    );
    return losses?.data as Float32Array;
  };
  for (const variant of ["lane", "workgroup"]) {
    const all = await lossesOf(0, 31, variant);
    expect(await lossesOf(13, 7, variant)).toEqual(all.slice(13, 20));
  }
});

test("cross-entropy names what does not fit", () => {
  const rows = runtimeDim("rows");
  const logits = { shape: [rows, 4], element: "f32" } as const;
  const labels = { shape: [rows], element: "u32" } as const;
  expect(crossEntropy.infer({ logits, labels }, {})).toEqual({
    losses: { shape: [rows], element: "f32" },
    normalizer: { shape: [rows, 2], element: "f32" },
  });
  expect(() => crossEntropy.infer({ logits }, {})).toThrow("labels is missing");
  expect(() => crossEntropy.infer({ logits, labels: { shape: [3], element: "u32" } }, {})).toThrow(
    "labels axis 0 is 3, expected rows",
  );
  expect(() => crossEntropy.infer({ logits, labels }, { labelSmoothing: 1 })).toThrow("labelSmoothing is 1");
  expect(() => crossEntropy.infer({ logits, labels }, { labelSmoothing: NaN })).toThrow("labelSmoothing is NaN");
});
