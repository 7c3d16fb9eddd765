/** @file `segment-sums` on the device against float64. */

import { expect, test } from "vitest";
import { matrix } from "../../src/cases/case-tensors.ts";
import { normal } from "../../src/cases/case.ts";
import type { OpCase } from "../../src/cases/case.ts";
import { segmentSumsCases } from "../../src/cases/segment-sums.ts";
import { segmentTable } from "../../src/cases/segment-tables.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { segmentSums } from "../../src/ops/segment-sums.ts";
import { segmentSums as reference } from "../../src/reference/segment-sums.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";
import { rerun } from "./rerun.ts";

describeOp(segmentSums, reference, segmentSumsCases);

const rows = runtimeDim("rows");
const segments = runtimeDim("segments");
const inputs = {
  x: { shape: [rows, 8], element: "f32" },
  segments: { shape: [runtimeDim("offsets")], element: "u32" },
  like: { shape: [segments, 3], element: "f32" },
} as const;

test("segment-sums takes the number of segments from any value that has it", () => {
  expect(segmentSums.infer(inputs, {})).toEqual({ y: { shape: [segments, 8], element: "f32" } });
  expect(() => segmentSums.infer(inputs, { slot: 0 })).toThrow("like has rank 2");
  const slots = { ...inputs, like: { shape: [segments], element: "u32" } } as const;
  expect(segmentSums.infer(slots, { slot: 2 })).toEqual({ y: { shape: [segments, 8], element: "f32" } });
  expect(() => segmentSums.infer(slots, { slot: -1 })).toThrow("slot is -1, expected a whole number from 0");
  const factor = { shape: [rows, 7], element: "f32" } as const;
  expect(() => segmentSums.infer({ ...inputs, factor }, {})).toThrow("factor axis 1 is 7, expected 8");
});

test("segment-sums costs a sum per element, or a multiply-add", () => {
  const sizes: Record<string, number> = { rows: 10, segments: 2, offsets: 3 };
  const size = (dim: number | { symbol: string }): number =>
    typeof dim === "number" ? dim : (sizes[dim.symbol] as number);
  const cost = (more: Record<string, (typeof inputs)["x"]>): unknown => {
    const given = { ...inputs, ...more };
    return segmentSums.cost({ inputs: given, outputs: segmentSums.infer(given, {}), attributes: {} }, size);
  };
  expect(cost({})).toMatchObject({ flops: 80, bytes: 4 * (80 + 3 + 16) });
  expect(cost({ factor: inputs.x })).toMatchObject({ flops: 160, bytes: 4 * (160 + 3 + 16) });
});

test("segment-sums leaves nothing of the run before", async () => {
  const gpu = await sharedGpu();
  const caseOf = (lengths: readonly number[], slots: readonly number[]): OpCase => ({
    name: slots.join(" "),
    attributes: { slot: 1 },
    inputs: () => ({
      x: matrix(normal(1, 70 * 8), 8),
      segments: segmentTable(lengths),
      like: { shape: [3], data: Uint32Array.from(slots), rows: "segments" },
    }),
    tolerance: 0,
  });
  const after = caseOf([33, 0, 37], [0, 1, 1]);
  const found = await rerun(gpu, segmentSums, "blocks", [caseOf([2, 40, 28], [1, 1, 1]), after]);
  expect(found).toEqual(await rerun(gpu, segmentSums, "blocks", [after]));
});
