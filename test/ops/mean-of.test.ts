/** @file `mean-of` on the device against float64. */

import { expect, test } from "vitest";
import { normal } from "../../src/cases/case.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { meanOfCases } from "../../src/cases/mean-of.ts";
import { meanOf } from "../../src/ops/mean-of.ts";
import { meanOf as reference } from "../../src/reference/mean-of.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(meanOf, reference, meanOfCases);

test("elements that take no part behind the others do not change a bit", async () => {
  const gpu = await sharedGpu();
  const data = normal(1, 9000);
  const meanOver = async (length: number): Promise<number> => {
    const { y } = await evaluateCase(gpu, meanOf, {
      name: "padded",
      attributes: {},
      inputs: () => ({
        x: { shape: [length], data: Float32Array.from({ length }, (_, i) => data[i] ?? NaN), rows: "rows" },
        labels: {
          shape: [length],
          data: Uint32Array.from({ length }, (_, i) => (i < 9000 ? 1 : 0xffffffff)),
          rows: "rows",
        },
      }),
      tolerance: 0,
    });
    return y?.data[0] as number;
  };
  const own = await meanOver(9000);
  expect(await meanOver(9001)).toBe(own);
  expect(await meanOver(300_000)).toBe(own);
});

test("a loss that is no number shows in the mean", async () => {
  const gpu = await sharedGpu();
  const data = normal(2, 5000);
  data[4711] = NaN;
  const inputs = { x: { shape: [5000], data, rows: "rows" } };
  const { y } = await evaluateCase(gpu, meanOf, { name: "NaN", attributes: {}, inputs: () => inputs, tolerance: 0 });
  expect(y?.data[0]).toBeNaN();
});

test("mean-of names what does not fit", () => {
  const x = { shape: [7, 4], element: "f32" } as const;
  const labels = { shape: [7, 4], element: "u32" } as const;
  expect(() => meanOf.infer({ x, labels, targets: x }, {})).toThrow("labels and targets are both given");
  expect(() => meanOf.infer({ x, labels: { shape: [7], element: "u32" } }, {})).toThrow("labels has rank 1");
  expect(() => meanOf.infer({ x, labels: x }, {})).toThrow("labels holds f32");
  expect(() => meanOf.infer({ x, divisor: { shape: [2], element: "u32" } }, {})).toThrow("divisor [2] axis 0 is 2");
});
