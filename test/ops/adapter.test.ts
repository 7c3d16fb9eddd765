/** @file `adapter` on the device against float64; its shapes, cost and refusals; columns that are columns of the whole. */

import { describe, expect, test } from "vitest";
import { adapterCases } from "../../src/cases/adapter.ts";
import { matrix } from "../../src/cases/case-tensors.ts";
import { normal } from "../../src/cases/case.ts";
import type { CaseTensor, OpCase } from "../../src/cases/case.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { segmentTable } from "../../src/cases/segment-tables.ts";
import { adapter, adapterStride, noSlot } from "../../src/ops/adapter.ts";
import type { AdapterAttributes } from "../../src/ops/adapter.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { Cost, TensorType } from "../../src/ops/op.ts";
import { adapter as reference } from "../../src/reference/adapter.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(adapter, reference, adapterCases);

const rows = runtimeDim("rows");
const SLOTS = 3;

/** Types of a call with these widths; a residual where its columns are given. */
function typesOf(attributes: AdapterAttributes, residual?: number): Record<string, TensorType> {
  const { width, maxWidth, outWidth } = attributes;
  const types: Record<string, TensorType> = {
    x: { shape: [rows, width], element: "f32" },
    bank: { shape: [SLOTS, adapterStride(width, maxWidth, outWidth)], element: "f32" },
    slots: { shape: [SLOTS, 4], element: "u32" },
    segments: { shape: [runtimeDim("offsets")], element: "u32" },
    segment_slots: { shape: [runtimeDim("sequences")], element: "u32" },
  };
  return residual === undefined ? types : { ...types, residual: { shape: [rows, residual], element: "f32" } };
}

describe("shapes of adapter", () => {
  const columns = (attributes: AdapterAttributes, residual?: number): unknown =>
    adapter.infer(typesOf(attributes, residual), attributes).y?.shape[1];
  const lora = { width: 16, maxWidth: 8, outWidth: 24 };

  test("a slot has room for both projections and both biases, in whole items", () => {
    expect(adapterStride(768, 64)).toBe(2 * 768 * 64 + 64 + 768);
    expect(adapterStride(768, 8, 2304)).toBe((768 + 2304) * 8 + 8 + 2304);
    expect(adapterStride(3, 1, 2)).toBe(8);
  });

  test("y has the columns that are asked for, else all that follow the first one", () => {
    expect(columns({ width: 16, maxWidth: 8 }, 16)).toBe(16);
    expect(columns(lora, 24)).toBe(24);
    expect(columns({ ...lora, firstColumn: 8 }, 16)).toBe(16);
    expect(columns({ ...lora, firstColumn: 8, columnCount: 5 }, 5)).toBe(5);
  });

  test("errors name the value", () => {
    expect(() => columns({ ...lora, outWidth: 0 })).toThrow("outWidth is 0");
    expect(() => columns({ ...lora, firstColumn: 24 })).toThrow("columns 24 to 24 are asked for, outWidth is 24");
    expect(() => columns({ ...lora, firstColumn: -1 })).toThrow("columns -1 to 24 are asked for");
    expect(() => columns({ ...lora, firstColumn: 8, columnCount: 17 })).toThrow("columns 8 to 25 are asked for");
    expect(() => columns({ ...lora, columnCount: 1.5 })).toThrow("columns 0 to 1.5 are asked for");
    expect(() => columns({ ...lora, columnCount: 8 }, 24)).toThrow("residual axis 1 is 24, expected 8");
    expect(() => adapter.infer(typesOf({ width: 16, maxWidth: 8 }), lora)).toThrow("bank axis 1 is 280, expected 352");
  });

  test("the cost is 2·B·(D + C) a row, and the bytes of what takes part", () => {
    const cost = (attributes: AdapterAttributes): Cost => {
      const inputs = typesOf(attributes);
      const call = { inputs, outputs: adapter.infer(inputs, attributes), attributes };
      return adapter.cost(call, (dim) => (typeof dim === "number" ? dim : 10 * dim.times));
    };
    // Around the products: bias and activation of 8 units; bias and scale of 16 columns.
    const whole = cost({ width: 16, maxWidth: 8 });
    expect(whole.parts).toEqual({ adapter: 10 * 4 * 8 * 16, other: 10 * (2 * 8 + 2 * 16) });
    expect(whole.flops).toBe(10 * (4 * 8 * 16 + 2 * 8 + 2 * 16));
    const part = cost({ ...lora, firstColumn: 8, columnCount: 12 });
    expect(part.parts?.adapter).toBe(10 * 2 * 8 * (16 + 12));
    // Of the rows of up, 12 take no part: with their bias, 9 elements each in 3 slots, and 12 columns of 10 rows of y.
    expect(cost(lora).bytes - part.bytes).toBe(4 * (3 * 12 * 9 + 12 * 10));
  });
});

describe("cost of adapter where the tables are known", () => {
  /** Slots of widths 3 and 0 and 8, the first without an activation; four segments of 4, 0, 5 and 1 rows. */
  const tables: Readonly<Record<string, Uint32Array>> = {
    slots: Uint32Array.of(3, 0, 0, 0, 0, 1, 0, 0, 8, 1, 0, 0),
    segments: Uint32Array.of(0, 4, 4, 9, 10),
  };
  const cost = (segmentSlots: readonly number[], element: "f32" | "f16" = "f32"): Cost => {
    const attributes = { width: 16, maxWidth: 8 };
    const known = typesOf(attributes, 16);
    const inputs: Record<string, TensorType> = {
      ...known,
      bank: { shape: known.bank?.shape ?? [], element },
      segments: { shape: [5], element: "u32" },
      segment_slots: { shape: [4], element: "u32" },
    };
    const call = { inputs, outputs: adapter.infer(inputs, attributes), attributes };
    const read = (role: string): Uint32Array | undefined =>
      role === "segment_slots" ? Uint32Array.from(segmentSlots) : tables[role];
    return adapter.cost(call, (dim) => (typeof dim === "number" ? dim : 10 * dim.times), read);
  };
  /** x, residual and y; segments and segment_slots. */
  const ROWS_AND_TABLES = 3 * 10 * 16 + 5 + 4;

  test("every row counts with the width of its own slot, every slot in use is read once", () => {
    const { parts, bytes } = cost([0, 2, 0, 2]);
    expect(parts).toEqual({
      adapter: 9 * 4 * 3 * 16 + 1 * 4 * 8 * 16,
      other: 9 * (3 + 3 * 16) + 1 * (2 * 8 + 3 * 16),
    });
    const banks = 3 * 33 + 16 + (8 * 33 + 16);
    expect(bytes).toBe(4 * (ROWS_AND_TABLES + banks + 2 * 4));
    expect(cost([0, 2, 0, 2], "f16").bytes).toBe(4 * (ROWS_AND_TABLES + 2 * 4) + 2 * banks);
  });

  test("no slot and a slot of width 0 cost the rows alone", () => {
    expect(cost([noSlot, noSlot, noSlot, noSlot])).toEqual({
      flops: 0,
      bytes: 4 * ROWS_AND_TABLES,
      parts: { adapter: 0, other: 0 },
    });
    expect(cost([1, noSlot, 1, 1])).toMatchObject({ flops: 0, bytes: 4 * (ROWS_AND_TABLES + 4) });
  });
});

describe("columns of adapter", () => {
  test("have the bits that they have in the whole result, in every variant", async () => {
    const gpu = await sharedGpu();
    const attributes = { width: 24, maxWidth: 16, outWidth: 72 };
    const stride = adapterStride(24, 16, 72);
    const one = new Uint32Array(Float32Array.of(1).buffer)[0] as number;
    const lengths = [5, 66, 3];
    const inputs = (): Record<string, CaseTensor> => ({
      x: matrix(normal(1, 74 * 24), 24),
      bank: { shape: [2, stride], data: normal(2, 2 * stride, 0.3) },
      slots: { shape: [2, 4], data: Uint32Array.of(16, 2, one, 0, 11, 4, one, 0) },
      segments: segmentTable(lengths),
      segment_slots: { shape: [3], data: Uint32Array.of(1, 0, noSlot), rows: "segments" },
    });
    const run = async (variant: string, slice: Partial<AdapterAttributes>): Promise<Float32Array> => {
      const opCase: OpCase = { name: variant, attributes: { ...attributes, ...slice }, inputs, tolerance: 0 };
      return (await evaluateCase(gpu, adapter, opCase, variant)).y?.data as Float32Array;
    };
    for (const variant of gpu.traits.subgroups ? ["portable", "tiled", "subgroup", "quad"] : ["portable", "tiled"]) {
      const whole = await run(variant, {});
      for (const [firstColumn, columnCount] of [
        [0, 24],
        [24, 48],
        [64, 8],
      ] as const) {
        const expected = whole.filter((_, i) => i % 72 >= firstColumn && i % 72 < firstColumn + columnCount);
        expect(await run(variant, { firstColumn, columnCount }), `${variant} from ${firstColumn}`).toEqual(expected);
      }
    }
  });
});
