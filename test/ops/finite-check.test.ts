/** @file `finite-check` on the device against float64. */

import { expect, test } from "vitest";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { finiteCheckCases } from "../../src/cases/finite-check.ts";
import { allFinite, finiteCheck } from "../../src/ops/finite-check.ts";
import { finiteCheck as reference } from "../../src/reference/finite-check.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(finiteCheck, reference, finiteCheckCases);

test.each([0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff, 0x7fc00000])("NaN of bits %i is seen", async (bits) => {
  const gpu = await sharedGpu();
  const data = new Float32Array(10);
  new Uint32Array(data.buffer)[6] = bits;
  const first = async (values: Float32Array): Promise<number> => {
    const inputs = { x: { shape: [values.length], data: values, rows: "rows" } };
    const call = { name: "bits", attributes: {}, inputs: () => inputs, tolerance: 0 };
    return (await evaluateCase(gpu, finiteCheck, call)).y?.data[0] as number;
  };
  expect(await first(data)).toBe(6);
  expect(await first(data.subarray(0, 6))).toBe(allFinite);
});
