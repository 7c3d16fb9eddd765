/** @file `adapter-gradient` on the device against float64; its outputs, cost and refusals; a device with few buffers. */

import { describe, expect, test } from "vitest";
import { adapterGradientCases } from "../../src/cases/adapter-gradient.ts";
import { matrix } from "../../src/cases/case-tensors.ts";
import { normal } from "../../src/cases/case.ts";
import type { CaseTensor, OpCase } from "../../src/cases/case.ts";
import { segmentTable } from "../../src/cases/segment-tables.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { adapterGradient } from "../../src/ops/adapter-gradient.ts";
import type { AdapterGradientAttributes } from "../../src/ops/adapter-gradient.ts";
import { adapterStride, noSlot } from "../../src/ops/adapter.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { Cost, DeviceTraits, OpCall, TensorType } from "../../src/ops/op.ts";
import { adapterGradient as reference } from "../../src/reference/adapter-gradient.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";
import { rerun } from "./rerun.ts";

describeOp(adapterGradient, reference, adapterGradientCases);

const rows = runtimeDim("rows");
const widths = { width: 16, maxWidth: 8 };

function typesOf(columns = 16): Record<string, TensorType> {
  return {
    x: { shape: [rows, 16], element: "f32" },
    dy: { shape: [rows, columns], element: "f32" },
    bank: { shape: [3, adapterStride(16, 8)], element: "f32" },
    slots: { shape: [3, 4], element: "u32" },
    segments: { shape: [5], element: "u32" },
    segment_slots: { shape: [4], element: "u32" },
  };
}

function callOf(attributes: Partial<AdapterGradientAttributes>): OpCall<AdapterGradientAttributes> {
  const all = { ...widths, input: true, ...attributes };
  return { inputs: typesOf(), outputs: adapterGradient.infer(typesOf(), all), attributes: all };
}

describe("outputs of adapter-gradient", () => {
  test("are those that are wanted", () => {
    const names = (attributes: Partial<AdapterGradientAttributes>): string[] => Object.keys(callOf(attributes).outputs);
    expect(names({})).toEqual(["dx"]);
    expect(names({ slot: 1 })).toEqual(["dx", "dz", "u", "mask"]);
    expect(names({ slot: 1, input: false })).toEqual(["dz", "u", "mask"]);
    expect(callOf({ slot: 1 }).outputs.u?.shape).toEqual([rows, 8]);
  });

  test("errors name the value", () => {
    expect(() => callOf({ input: false })).toThrow("no output is wanted");
    expect(() => callOf({ slot: 3 })).toThrow("slot is 3, the bank has 3");
    expect(() => callOf({ slot: 0.5 })).toThrow("slot is 0.5");
    expect(() => adapterGradient.infer(typesOf(15), { ...widths, input: true })).toThrow(
      "dy axis 1 is 15, expected 16",
    );
    const part = { ...widths, columnCount: 8, input: true, skip: true };
    expect(() => adapterGradient.infer(typesOf(8), part)).toThrow("x has 16 columns and dy 8");
  });

  test("come from one launch of the products, which binds nothing for those that are not wanted", () => {
    const device = { software: false } as DeviceTraits;
    const kernels = (attributes: Partial<AdapterGradientAttributes>): string[] =>
      adapterGradient
        .launch(callOf(attributes), "tiled", device, () => 12)
        .map(({ kernel, libs = [] }) => [kernel, ...libs.filter((lib) => lib.startsWith("adapter-"))].join(" "));
    const table = "adapter-gradient.table";
    const tiled = "adapter-gradient.tiled";
    expect(kernels({})).toEqual([table, `${tiled} adapter-output-dx adapter-no-units`]);
    expect(kernels({ slot: 1, input: false })).toEqual([table, `${tiled} adapter-no-dx adapter-output-units`]);
    expect(kernels({ slot: 1 })).toEqual([table, `${tiled} adapter-output-dx adapter-output-units`]);
  });
});

describe("cost of adapter-gradient", () => {
  /** Slots of widths 3, 0 and 8; four segments of 4, 0, 5 and 1 rows that name slots 0, 2, 0 and 2. */
  const tables: Readonly<Record<string, Uint32Array>> = {
    slots: Uint32Array.of(3, 0, 0, 0, 0, 1, 0, 0, 8, 1, 0, 0),
    segments: Uint32Array.of(0, 4, 4, 9, 10),
    segment_slots: Uint32Array.of(0, 2, 0, 2),
  };
  const cost = (attributes: Partial<AdapterGradientAttributes>, known = true): Cost =>
    adapterGradient.cost(
      callOf(attributes),
      (dim) => (typeof dim === "number" ? dim : 10 * dim.times),
      known ? (role) => tables[role] : undefined,
    );

  test("is three products of every row for dx, two of the rows of the trained slot for the weights", () => {
    expect(cost({}).parts?.adapter).toBe(2 * 3 * 16 * (9 * 3 + 1 * 8));
    expect(cost({ slot: 2 }).parts?.adapter).toBe(2 * 3 * 16 * (9 * 3 + 1 * 8));
    expect(cost({ slot: 2, input: false }).parts?.adapter).toBe(2 * 2 * 16 * 1 * 8);
    expect(cost({ slot: 1, input: false }).flops).toBe(0);
    expect(cost({ slot: 2 }, false).parts?.adapter).toBe(2 * 3 * 16 * 10 * 8);
  });

  test("counts every slot in use once", () => {
    const rowsAndTables = 4 * (2 * 10 * 16 + 5 + 4);
    expect(cost({}).bytes).toBe(rowsAndTables + 4 * (10 * 16 + (3 + 8) * 33 + 2 * 4));
    expect(cost({ slot: 2, input: false }).bytes).toBe(rowsAndTables + 4 * (10 * 17 + 8 * 33 + 4));
  });
});

describe("rows of adapter-gradient", () => {
  const lengths = [5, 66, 3];
  const parts = lengths.map((length, s) => [normal(s + 1, length * 24), normal(s + 11, length * 24)] as const);
  const one = new Uint32Array(Float32Array.of(1).buffer)[0] as number;
  const variantsOf = ({ traits }: Gpu): readonly string[] =>
    traits.subgroups ? ["portable", "tiled", "subgroup", "quad"] : ["portable", "tiled"];

  /** Some of the segments, of which each names a slot. */
  function caseOf(segments: readonly number[], slots: readonly number[]): OpCase {
    const joined = (which: 0 | 1): CaseTensor =>
      matrix(Float32Array.from(segments.flatMap((s) => [...(parts[s]?.[which] ?? [])])), 24);
    return {
      name: `segments ${segments.join(" ")}`,
      attributes: { width: 24, maxWidth: 16, input: true, slot: 1 },
      inputs: () => ({
        x: joined(0),
        dy: joined(1),
        bank: { shape: [2, adapterStride(24, 16)], data: normal(2, 2 * adapterStride(24, 16), 0.3) },
        slots: { shape: [2, 4], data: Uint32Array.of(16, 2, one, 0, 11, 4, one, 0) },
        segments: segmentTable(segments.map((s) => lengths[s] as number)),
        segment_slots: { shape: [slots.length], data: Uint32Array.from(slots), rows: "segments" },
      }),
      tolerance: 0,
    };
  }

  test("have bits that do not depend on the other segments, in any variant", async () => {
    const gpu = await sharedGpu();
    for (const variant of variantsOf(gpu)) {
      const all = await rerun(gpu, adapterGradient, variant, [caseOf([0, 1, 2], [0, 1, 0])]);
      const alone = await rerun(gpu, adapterGradient, variant, [caseOf([1], [1])]);
      for (const [name, width] of Object.entries({ dx: 24, dz: 16, u: 16, mask: 1 }))
        expect(all[name]?.slice(5 * width, 71 * width), `${name}, ${variant}`).toEqual(alone[name]);
    }
  });

  test("hold nothing of the run before", async () => {
    const gpu = await sharedGpu();
    for (const variant of variantsOf(gpu)) {
      const after = caseOf([0, 1, 2], [1, noSlot, 0]);
      const before = caseOf([0, 1, 2], [0, 1, 1]);
      const found = await rerun(gpu, adapterGradient, variant, [before, caseOf([0, 1, 2], [1, 1, 1]), after]);
      expect(found, variant).toEqual(await rerun(gpu, adapterGradient, variant, [after]));
    }
  });
});
