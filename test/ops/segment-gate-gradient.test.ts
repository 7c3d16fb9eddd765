/** @file `segment-gate-gradient` on the device against float64. */

import { expect, test } from "vitest";
import { matrix } from "../../src/cases/case-tensors.ts";
import { normal } from "../../src/cases/case.ts";
import type { OpCase } from "../../src/cases/case.ts";
import { segmentGateGradientCases } from "../../src/cases/segment-gate-gradient.ts";
import { segmentTable } from "../../src/cases/segment-tables.ts";
import { noSlot } from "../../src/ops/adapter.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { segmentGateGradient } from "../../src/ops/segment-gate-gradient.ts";
import type { SegmentGateGradientAttributes } from "../../src/ops/segment-gate-gradient.ts";
import { segmentGateGradient as reference } from "../../src/reference/segment-gate-gradient.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";
import { rerun } from "./rerun.ts";

describeOp(segmentGateGradient, reference, segmentGateGradientCases);

test("segment-gate-gradient gives what is wanted, and names what does not fit", () => {
  const segments = runtimeDim("segments");
  const inputs = {
    x: { shape: [runtimeDim("rows"), 8], element: "f32" },
    dy: { shape: [segments, 2], element: "f32" },
    bank: { shape: [3, 20], element: "f32" },
    segments: { shape: [runtimeDim("offsets")], element: "u32" },
    segment_slots: { shape: [segments], element: "u32" },
  } as const;
  const infer = (attributes: Partial<SegmentGateGradientAttributes>, more = {}): string[] =>
    Object.keys(segmentGateGradient.infer({ ...inputs, ...more }, { gates: 2, input: false, ...attributes }));
  expect(infer({ input: true })).toEqual(["dx"]);
  expect(infer({ slot: 2 })).toEqual(["dz"]);
  expect(infer({ input: true, slot: 0 })).toEqual(["dx", "dz"]);
  expect(() => infer({})).toThrow("no output is wanted");
  expect(() => infer({ slot: 3 })).toThrow("slot is 3, the bank has 3");
  expect(() => infer({ input: true }, { dy: { shape: [segments, 3], element: "f32" } })).toThrow("dy axis 1 is 3");
});

test("segment-gate-gradient leaves nothing of the run before", async () => {
  const gpu = await sharedGpu();
  const caseOf = (slots: readonly number[]): OpCase => ({
    name: slots.join(" "),
    attributes: { gates: 2, input: true, slot: 1 },
    inputs: () => ({
      x: matrix(normal(1, 12 * 8), 8),
      dy: matrix(normal(2, 3 * 2), 2, "segments"),
      bank: { shape: [2, 20], data: normal(3, 40) },
      segments: segmentTable([5, 3, 4]),
      segment_slots: { shape: [3], data: Uint32Array.from(slots), rows: "segments" },
    }),
    tolerance: 0,
  });
  const after = caseOf([noSlot, 1, 0]);
  for (const variant of ["lane", "workgroup"]) {
    const found = await rerun(gpu, segmentGateGradient, variant, [caseOf([1, 0, 1]), after]);
    expect(found, variant).toEqual(await rerun(gpu, segmentGateGradient, variant, [after]));
  }
});
