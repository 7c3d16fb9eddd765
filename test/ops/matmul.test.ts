/** @file `matmul` on the device against float64, the policy of its variants, and rows that do not depend on their place. */

import { describe, expect, test } from "vitest";
import { distinctRows, matrix } from "../../src/cases/case-tensors.ts";
import { normal } from "../../src/cases/case.ts";
import type { OpCase } from "../../src/cases/case.ts";
import { matmulCases } from "../../src/cases/matmul.ts";
import { caseGraph, evaluateCase } from "../../src/cases/evaluate.ts";
import { schedule } from "../../src/graph/schedule.ts";
import type { DeviceTraits } from "../../src/gpu/traits.ts";
import { matmul } from "../../src/ops/matmul.ts";
import type { MatmulAttributes } from "../../src/ops/matmul.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { OpCall, TensorType } from "../../src/ops/op.ts";
import { matmul as reference } from "../../src/reference/matmul.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(matmul, reference, matmulCases);

const f32 = (...shape: TensorType["shape"]): TensorType => ({ shape, element: "f32" });
const u32 = (...shape: TensorType["shape"]): TensorType => ({ shape, element: "u32" });
const rows = runtimeDim("rows");

const software: DeviceTraits = {
  software: true,
  subgroups: true,
  subgroupMinSize: 4,
  subgroupMaxSize: 4,
  shaderF16: false,
  maxWorkgroupInvocations: 256,
  maxWorkgroupStorageBytes: 16384,
  maxStorageBuffers: 8,
};

describe("variants of matmul", () => {
  const first = (
    traits: DeviceTraits,
    capacity: number,
    columns: number,
    inner: number,
    attributes: MatmulAttributes = {},
  ): string | undefined => {
    const w = attributes.transposed === true ? f32(inner, columns) : f32(columns, inner);
    const inputs = { x: f32(rows, inner), w };
    const call: OpCall<MatmulAttributes> = { inputs, outputs: matmul.infer(inputs, attributes), attributes };
    return matmul.variants(call, traits, (dim) => (typeof dim === "number" ? dim : capacity * dim.times))[0];
  };

  test("the first choice follows the policy in the header of the op", () => {
    const hardware = { ...software, software: false };
    expect(first(software, 128, 768, 768)).toBe("subgroup");
    expect(first({ ...software, subgroups: false }, 128, 768, 768)).toBe("register");
    expect(first(software, 8, 768, 768)).toBe("register");
    expect(first(software, 4, 768, 768)).toBe("register");
    expect(first(hardware, 4, 768, 768)).toBe("skinny");
    expect(first(software, 128, 768, 36)).toBe("register");
    expect(first(software, 128, 768, 767)).toBe("naive");
    expect(first(hardware, 128, 768, 768)).toBe("tiled");
    expect(first({ ...hardware, maxWorkgroupInvocations: 128 }, 128, 768, 768)).toBe("register");
  });

  test("and so does that of the transposed form", () => {
    const hardware = { ...software, software: false };
    const choose = (traits: DeviceTraits, ...sizes: readonly [number, number, number]): string | undefined =>
      first(traits, ...sizes, { transposed: true });
    expect(choose(software, 128, 768, 768)).toBe("subgroup");
    expect(choose(software, 128, 768, 48)).toBe("subgroup");
    expect(choose({ ...software, subgroups: false }, 128, 768, 768)).toBe("register");
    expect(choose(software, 8, 768, 768)).toBe("register");
    expect(choose(software, 128, 768, 4)).toBe("register");
    expect(choose(software, 128, 768, 3)).toBe("naive");
    expect(choose(software, 128, 768, 30522)).toBe("tiled");
    expect(choose(software, 128, 767, 768)).toBe("naive");
    expect(choose(hardware, 4, 768, 768)).toBe("tiled");
    expect(choose(hardware, 128, 768, 3)).toBe("tiled");
    expect(choose({ ...hardware, maxWorkgroupInvocations: 128 }, 128, 768, 768)).toBe("register");
  });

  test("computes in f16 where the graph asks for it, and then in nothing else", () => {
    const inputs = { x: f32(rows, 64), w: f32(96, 64) };
    const call = (attributes: MatmulAttributes): OpCall<MatmulAttributes> => ({
      inputs,
      outputs: matmul.infer(inputs, attributes),
      attributes,
    });
    const able = { ...software, shaderF16: true };
    expect(matmul.variants(call({}), able, () => 64)).not.toContain("f16");
    expect(matmul.variants(call({ compute: "f32" }), able, () => 64)).not.toContain("f16");
    expect(matmul.variants(call({ compute: "f16" }), able, () => 64)).toEqual(["f16"]);
    expect(matmul.variants(call({ compute: "f16" }), software, () => 64)).toEqual([]);
    expect(matmul.variants(call({ compute: "f16" }), { ...able, maxWorkgroupInvocations: 128 }, () => 64)).toEqual([]);
  });

  test("on a device that cannot compute in f16 a plan says so, and what to do", () => {
    const opCase: OpCase = {
      name: "half",
      attributes: { compute: "f16" },
      inputs: () => ({ x: matrix(normal(1, 32), 8), w: { shape: [3, 8], data: normal(2, 24) } }),
      tolerance: 0,
    };
    const { graph, sizes } = caseGraph(matmul, opCase);
    expect(() => schedule(graph, software, sizes)).toThrow(
      expect.objectContaining({
        code: "LIMIT",
        message: 'matmul: compute: "f16" needs the feature shader-f16',
        fix: expect.stringContaining('leave out compute: "f16"'),
      }),
    );
  });

  test.each([
    [0, {}],
    [1, {}],
    [2, { transposed: true }],
    [3, { transposed: true }],
  ])("a row has the same bits in every place of every tile (%i, %o)", async (seed, form: MatmulAttributes) => {
    const gpu = await sharedGpu();
    const transposed = form.transposed === true;
    const [count, columns, inner] = [131, transposed ? 40 : 37, 72];
    const x = matrix(normal(seed, count * inner), inner);
    const w = { shape: transposed ? [inner, columns] : [columns, inner], data: normal(seed + 9, columns * inner) };
    const order = distinctRows(seed, 77, count, "selected");
    const straight: OpCase = { name: "straight", attributes: {}, inputs: () => ({ x, w }), tolerance: 0 };
    const shuffled: OpCase = { ...straight, inputs: () => ({ x, w, gather: order }) };
    for (const variant of ["subgroup", "register", "tiled", "skinny", "naive", "f16"]) {
      if (variant === "subgroup" && !gpu.traits.subgroups) continue;
      if (variant === "f16" && !gpu.traits.shaderF16) continue;
      if (transposed && ["skinny", "f16"].includes(variant)) continue;
      const attributes = variant === "f16" ? { compute: "f16" } : { ...form };
      const whole = (await evaluateCase(gpu, matmul, { ...straight, attributes }, variant)).y?.data as Float32Array;
      const some = (await evaluateCase(gpu, matmul, { ...shuffled, attributes }, variant)).y?.data as Float32Array;
      const expected = Array.from(order.data, (row) => [...whole.subarray(row * columns, (row + 1) * columns)]).flat();
      expect([...some], variant).toEqual(expected);
    }
  });
});

describe("shapes of matmul", () => {
  const infer =
    (inputs: Record<string, TensorType>, attributes: MatmulAttributes = {}) =>
    () =>
      matmul.infer(inputs, attributes);

  test("errors name the axis and both values", () => {
    const [x, w] = [f32(rows, 8), f32(6, 8)];
    expect(infer({ x, w: f32(6, 9) })).toThrow("w axis 1 is 9, expected 8");
    expect(infer({ x, w, bias: f32(7) })).toThrow("bias axis 0 is 7, expected 6");
    expect(infer({ x, w, residual: f32(rows, 7) })).toThrow("residual axis 1 is 7, expected 6");
    expect(infer({ x, w, weight: f32(4) })).toThrow("without scatter does not take weight");
    expect(infer({ x, w, scatter: u32(rows), base: f32(4, 5) })).toThrow("base axis 1 is 5, expected 6");
    expect(infer({ x, w }, { firstRow: 4, rowCount: 3 })).toThrow("rows 4 to 7 are asked for, w axis 0 is 6");
    const odd = { x: f32(rows, 7), w: f32(6, 7) };
    expect(infer(odd, { compute: "f16" })).toThrow("a multiple of 4, x axis 1 is 7");
    expect(infer({ x, w }, { compute: "f64" as "f16" })).toThrow("matmul: cannot compute in f64");
  });

  test("the transposed form sums over the rows of w, which has its columns", () => {
    const [x, w] = [f32(rows, 6), f32(6, 8)];
    const transposed = { transposed: true } as const;
    expect(infer({ x, w, bias: f32(8) }, transposed)().y).toEqual(f32(rows, 8));
    expect(infer({ x, w: f32(18, 8), bias: f32(8) }, { ...transposed, slot: "task", slotRows: 6 })().y).toEqual(
      f32(rows, 8),
    );
    expect(infer({ x, w: f32(9, 8) }, { ...transposed, firstRow: 3 })().y).toEqual(f32(rows, 8));
    expect(infer({ x, w: f32(9, 8) }, transposed)).toThrow("x axis 1 is 6, expected 9");
    expect(infer({ x, w, bias: f32(6) }, transposed)).toThrow("bias axis 0 is 6, expected 8");
    expect(infer({ x, w, residual: f32(rows, 6) }, transposed)).toThrow("residual axis 1 is 6, expected 8");
    expect(infer({ x, w }, { ...transposed, compute: "f16" })).toThrow('compute: "f16" does not go with transposed');
  });

  test("both forms of a product cost the same", () => {
    const cost = (inputs: Readonly<Record<string, TensorType>>, attributes: MatmulAttributes): unknown => {
      const call = { inputs, outputs: matmul.infer(inputs, attributes), attributes };
      return matmul.cost(call, (dim) => (typeof dim === "number" ? dim : 7));
    };
    expect(cost({ x: f32(rows, 6), w: f32(6, 8), bias: f32(8) }, { transposed: true })).toEqual(
      cost({ x: f32(rows, 6), w: f32(8, 6), bias: f32(8) }, {}),
    );
  });

  test("a slice of w gives its columns, a scatter the rows of its base", () => {
    const [x, w] = [f32(rows, 8), f32(6, 8)];
    expect(infer({ x, w }, { firstRow: 2 })().y).toEqual(f32(rows, 4));
    expect(infer({ x, w, gather: u32(3), scatter: u32(3), base: f32(9, 6) })().y).toEqual(f32(9, 6));
  });
});
