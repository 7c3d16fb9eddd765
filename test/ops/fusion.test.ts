/** @file `fusion` on the device against float64; its record, its refusals, its cost. */

import { describe, expect, test } from "vitest";
import { fusionCases } from "../../src/cases/fusion.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import type { OpCase } from "../../src/cases/case.ts";
import { fusion, fusionColumns, fusionRecord } from "../../src/ops/fusion.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { TensorType } from "../../src/ops/op.ts";
import { fusion as reference } from "../../src/reference/fusion.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(fusion, reference, fusionCases);

const rows = runtimeDim("rows");
const f32 = (...shape: TensorType["shape"]): TensorType => ({ shape, element: "f32" });
const table = (slots: number, words: number): TensorType => ({ shape: [slots, words], element: "u32" });

describe("the record of a fusion", () => {
  test("holds the temperature, then width, activation and state of every adapter; places left over are pruned", () => {
    const members = [
      { width: 5, activation: 2 },
      { width: 8, activation: 1, state: "forced" },
    ] as const;
    const record = fusionRecord(3, 2.5, members);
    expect(new Float32Array(record.buffer)[0]).toBe(2.5);
    expect([...record.subarray(4)]).toEqual([5, 2, 0, 0, 8, 1, 1, 0, 0, 0, 2, 0]);
  });

  test("a temperature of 0, too many adapters and an unknown activation are refused", () => {
    const one = { width: 4, activation: 1 };
    expect(() => fusionRecord(1, 0, [one])).toThrow("temperature is 0");
    expect(() => fusionRecord(1, NaN, [one])).toThrow("temperature is NaN");
    expect(() => fusionRecord(1, 1, [one, one])).toThrow("the number of adapters is 2, expected at most 1");
    expect(() => fusionRecord(1, 1, [{ width: 4, activation: 99 }])).toThrow("activation is 99");
  });
});

describe("shapes of a fusion", () => {
  const infer = (
    hidden: TensorType,
    score: TensorType,
    words: number,
    attributes: Parameters<typeof fusion.infer>[1],
  ) => fusion.infer({ hidden, score, table: table(1, words) }, attributes);

  test("y is padded to a multiple of 8 for the product behind it", () => {
    expect(fusionColumns(8, 48)).toBe(392);
    expect(fusionColumns(2, 48)).toBe(104);
    const joint = f32(rows, 200);
    const { y, weights } = infer(joint, joint, 12, { adapters: 2, width: 48, scoreAt: 96 });
    expect(y?.shape).toEqual([rows, 104]);
    expect(weights?.shape).toEqual([rows, 2]);
  });

  test("errors name the axis and both values", () => {
    const [hidden, score] = [f32(rows, 16), f32(rows, 24)];
    expect(() => infer(hidden, score, 12, { adapters: 2, width: 6 })).toThrow("width is 6, expected a multiple of 4");
    expect(() => infer(hidden, score, 12, { adapters: 0, width: 8 })).toThrow("adapters is 0");
    expect(() => infer(f32(rows, 12), score, 12, { adapters: 2, width: 8 })).toThrow("hidden axis 1 is 12");
    expect(() => infer(hidden, score, 12, { adapters: 2, width: 8, scoreAt: 8 })).toThrow("from 26");
    expect(() => infer(hidden, score, 8, { adapters: 2, width: 8 })).toThrow("table axis 1 is 8, expected 12");
    expect(() => infer(hidden, f32(3, 24), 12, { adapters: 2, width: 8 })).toThrow("score axis 0 is 3, expected rows");
  });

  test("a row past the table is refused as the run starts", async () => {
    const gpu = await sharedGpu();
    const slotted = fusionCases.cases.find(({ sizes }) => sizes !== undefined) as OpCase;
    const stray: OpCase = { ...slotted, sizes: { fusion: 3 } };
    await expect(evaluateCase(gpu, fusion, stray)).rejects.toThrow("fusion: fusion is 3, the table has 3 rows");
  });
});

test("the cost of a fusion counts what it reads once, whether the parts are one tensor or two", () => {
  const attributes = { adapters: 2, width: 8, scoreAt: 16 };
  const joint = f32(rows, 40);
  const inputs = { hidden: joint, score: joint, table: table(5, 12) };
  const cost = fusion.cost({ inputs, outputs: fusion.infer(inputs, attributes), attributes }, (dim) =>
    typeof dim === "number" ? dim : 7,
  );
  expect(cost).toEqual({
    flops: 7 * 2 * (4 * 8 + 5),
    bytes: 4 * (7 * (16 + 18 + 24 + 2) + 12),
    parts: { other: 7 * 2 * 4 * 8, softmax: 7 * 2 * 5 },
  });
});
