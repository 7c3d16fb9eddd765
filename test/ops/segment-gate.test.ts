/** @file `segment-gate` on the device against float64. */

import { expect, test } from "vitest";
import { matrix } from "../../src/cases/case-tensors.ts";
import { normal, toleranceFor } from "../../src/cases/case.ts";
import { checkCase } from "../../src/cases/check.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { segmentGateCases } from "../../src/cases/segment-gate.ts";
import { slotTables } from "../../src/cases/segment-slots.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { segmentGate } from "../../src/ops/segment-gate.ts";
import { segmentGate as reference } from "../../src/reference/segment-gate.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(segmentGate, reference, segmentGateCases);

test("a segment's gates do not depend on the other segments", async () => {
  const [width, gates] = [20, 2];
  const lengths = [5, 131, 1, 70];
  const parts = lengths.map((length, s) => normal(s + 1, length * width));
  const bank = { shape: [2, gates * (width + 1)], data: normal(9, 2 * gates * (width + 1), 0.3) };
  const gpu = await sharedGpu();
  const run = async (variant: string, segments: readonly number[]): Promise<number[]> => {
    const x = Float32Array.from(segments.flatMap((s) => [...(parts[s] as Float32Array)]));
    const tables = slotTables({
      lengths: segments.map((s) => lengths[s] as number),
      slots: 2,
      named: segments.map((s) => s % 2),
    });
    const inputs = () => ({ x: matrix(x, width), bank, ...tables });
    const { y } = await evaluateCase(
      gpu,
      segmentGate,
      { name: variant, attributes: { gates }, inputs, tolerance: 0 },
      variant,
    );
    return Array.from(y?.data as Float32Array);
  };
  for (const variant of ["lanes-16", "lanes-64", "lanes-256"]) {
    const all = await run(variant, [0, 1, 2, 3]);
    const pick = (segments: readonly number[]): number[] =>
      segments.flatMap((s) => all.slice(s * gates, (s + 1) * gates));
    expect(new Set(all).size).toBe(lengths.length * gates);
    expect(await run(variant, [3, 2, 0, 1]), variant).toEqual(pick([3, 2, 0, 1]));
    for (const s of [0, 1, 2, 3]) expect(await run(variant, [s]), `${variant}, segment ${s}`).toEqual(pick([s]));
  }
});

// Not in the table, which runs every variant: on SwiftShader the three of them take half a minute for it.
test("more segments than one dimension of a grid holds", async () => {
  const lengths = Array.from({ length: 65_600 }, (_, s) => s % 3);
  const inputs = () => ({
    x: matrix(normal(1, 65_599), 1),
    bank: { shape: [5, 2], data: normal(2, 10) },
    ...slotTables({ lengths, slots: 5 }),
  });
  const opCase = { name: "65600 segments", attributes: { gates: 1 }, inputs, tolerance: toleranceFor(2) };
  const result = await checkCase(await sharedGpu(), segmentGate, reference, opCase, "lanes-16");
  expect(result.ok, result.detail).toBe(true);
});

test("segment-gate names what does not fit, and counts", () => {
  const inputs = {
    x: { shape: [runtimeDim("rows"), 8], element: "f32" },
    bank: { shape: [3, 20], element: "f32" },
    segments: { shape: [runtimeDim("offsets")], element: "u32" },
    segment_slots: { shape: [runtimeDim("segments")], element: "u32" },
  } as const;
  const outputs = segmentGate.infer(inputs, { gates: 2 });
  expect(outputs).toEqual({ y: { shape: [runtimeDim("segments"), 2], element: "f32" } });
  expect(() => segmentGate.infer(inputs, { gates: 3 })).toThrow("bank axis 1 is 20, expected at least 3 x (8 + 1)");
  expect(() => segmentGate.infer(inputs, { gates: 0 })).toThrow("gates is 0");
  const sizes: Record<string, number> = { rows: 10, segments: 2, offsets: 3 };
  const size = (dim: number | { symbol: string }): number =>
    typeof dim === "number" ? dim : (sizes[dim.symbol] as number);
  const cost = segmentGate.cost({ inputs, outputs, attributes: { gates: 2 } }, size);
  expect(cost).toEqual({
    flops: 2 * 10 * (2 * 8 + 6) + 2 * 2,
    bytes: 4 * (80 + 3 + 2 + 4) + 4 * 2 * 2 * 9,
  });
});
