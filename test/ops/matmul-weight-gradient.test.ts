/** @file `matmul-weight-gradient` on the device against float64, the policy of its variants and parts, its shapes. */

import { describe, expect, test } from "vitest";
import { matmulWeightGradientCases } from "../../src/cases/matmul-weight-gradient.ts";
import { normal } from "../../src/cases/case.ts";
import { Arena } from "../../src/graph/arena.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { DeviceTraits } from "../../src/gpu/traits.ts";
import { matmulWeightGradient } from "../../src/ops/matmul-weight-gradient.ts";
import type { MatmulWeightGradientAttributes } from "../../src/ops/matmul-weight-gradient.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { Launch, OpCall, SizeOf, TensorType } from "../../src/ops/op.ts";
import { matmulWeightGradient as reference } from "../../src/reference/matmul-weight-gradient.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(matmulWeightGradient, reference, matmulWeightGradientCases);

const f32 = (...shape: TensorType["shape"]): TensorType => ({ shape, element: "f32" });
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
const hardware = { ...software, software: false };

const capacityOf =
  (capacity: number): SizeOf =>
  (dim) =>
    typeof dim === "number" ? dim : capacity * dim.times;

function callOf(
  height: number,
  width: number,
  attributes: MatmulWeightGradientAttributes = {},
): OpCall<MatmulWeightGradientAttributes> {
  const inputs = { dy: f32(rows, height), x: f32(rows, width) };
  return { inputs, outputs: matmulWeightGradient.infer(inputs, attributes), attributes };
}

describe("variants of matmul-weight-gradient", () => {
  const first = (
    traits: DeviceTraits,
    capacity: number,
    ...sizes: readonly [number, number, MatmulWeightGradientAttributes?]
  ): string | undefined => matmulWeightGradient.variants(callOf(...sizes), traits, capacityOf(capacity))[0];

  test("the first choice follows the policy in the header of the op", () => {
    expect(first(software, 512, 768, 768)).toBe("subgroup");
    expect(first(software, 8, 768, 768)).toBe("register");
    expect(first(software, 512, 8, 768)).toBe("register");
    expect(first(software, 512, 2, 768)).toBe("naive");
    expect(first(software, 512, 30522, 768)).toBe("tiled");
    expect(first(software, 512, 768, 36)).toBe("register");
    expect(first(software, 512, 768, 768, { firstColumn: 4, columnCount: 64 })).toBe("register");
    expect(first(software, 512, 768, 7)).toBe("naive");
    expect(first({ ...software, subgroups: false }, 512, 768, 768)).toBe("register");
    expect(first(hardware, 512, 3, 768)).toBe("tiled");
    expect(first({ ...hardware, maxWorkgroupInvocations: 128 }, 512, 768, 768)).toBe("register");
  });

  const grids = (traits: DeviceTraits, variant: string, capacity: number, run = capacity): readonly number[][] => {
    const launches = matmulWeightGradient.launch(callOf(48, 768), variant, traits, capacityOf(capacity)) as Launch[];
    return launches.map(({ grid }) => [...grid(capacityOf(run))]);
  };

  test("few tiles and many rows are summed in parts, as the capacity has it and not the run", () => {
    expect(grids(hardware, "tiled", 4096)).toEqual([
      [12, 1, 32],
      [144, 1, 1],
    ]);
    expect(grids(hardware, "tiled", 4096, 7)).toEqual(grids(hardware, "tiled", 4096));
    expect(grids(hardware, "tiled", 300)).toEqual([
      [12, 1, 2],
      [144, 1, 1],
    ]);
    expect(grids(hardware, "tiled", 255)).toEqual([[12, 1, 1]]);
    expect(grids(software, "subgroup", 4096)).toEqual([[24, 1, 1]]);
    expect(grids(software, "subgroup", 0)).toEqual([[24, 1, 1]]);
  });
});

describe("a plan of more rows than a run has", () => {
  test.each(["subgroup", "register", "tiled", "naive"])(
    "adds the same numbers in the same order: %s",
    async (variant) => {
      const gpu = await sharedGpu();
      if (variant === "subgroup" && !gpu.traits.subgroups) return;
      const [height, width, count] = [8, 16, 300];
      const [dy, x] = [normal(1, count * height), normal(2, count * width)];
      const b = new GraphBuilder();
      const inputs = { dy: b.input("dy", [rows, height]), x: b.input("x", [rows, width]) };
      const graph = b.finish(b.op(matmulWeightGradient, inputs, {}));
      const [arena, parameters] = [new Arena(gpu), new Parameters(gpu)];
      const capacities = { rows: 640 };
      const plan = await Plan.create({ gpu, graph, parameters, arena, capacities, choose: () => variant });
      const run = async (rowsOfRun: number): Promise<Float32Array> => {
        const parts = { dy: dy.slice(0, rowsOfRun * height), x: x.slice(0, rowsOfRun * width) };
        return (await plan.run(parts, { rows: rowsOfRun })).outputs.dw?.data as Float32Array;
      };
      const zeros = (data: Float32Array, from: number): void => void data.fill(0, from);
      const short = await run(137);
      zeros(dy, 137 * height);
      zeros(x, 137 * width);
      expect(short).toEqual(await run(count));
      expect(await run(0)).toEqual(new Float32Array(height * width));
      plan.dispose();
      await arena.dispose();
      parameters.dispose();
    },
  );
});

describe("shapes of matmul-weight-gradient", () => {
  const infer =
    (inputs: Record<string, TensorType>, attributes: MatmulWeightGradientAttributes = {}) =>
    () =>
      matmulWeightGradient.infer(inputs, attributes);
  const [dy, x] = [f32(rows, 6), f32(rows, 8)];

  test("the columns that take part give the rows of the result", () => {
    expect(infer({ dy, x })().dw).toEqual(f32(6, 8));
    expect(infer({ dy, x }, { firstColumn: 2 })().dw).toEqual(f32(4, 8));
    expect(infer({ dy, x }, { firstColumn: 1, columnCount: 3 })().dw).toEqual(f32(3, 8));
    const gather: TensorType = { shape: [rows], element: "u32" };
    expect(infer({ dy, x: f32(9, 8), gather })().dw).toEqual(f32(6, 8));
  });

  test("errors name the axis and both values", () => {
    expect(infer({ dy, x: f32(9, 8) })).toThrow("x axis 0 is 9, expected rows");
    expect(infer({ dy, x, gather: { shape: [4], element: "u32" } })).toThrow("gather axis 0 is 4, expected rows");
    expect(infer({ dy, x }, { firstColumn: 4, columnCount: 3 })).toThrow(
      "columns 4 to 7 are asked for, dy axis 1 is 6",
    );
    expect(infer({ dy, x }, { firstColumn: 6 })).toThrow("columns 6 to 6 are asked for");
    expect(infer({ x })).toThrow("input dy is missing");
  });

  test("the cost is that of the columns that take part", () => {
    const cost = (stride: number, attributes: MatmulWeightGradientAttributes): unknown => {
      const inputs = { dy: f32(rows, stride), x };
      return matmulWeightGradient.cost(
        { inputs, outputs: matmulWeightGradient.infer(inputs, attributes), attributes },
        capacityOf(7),
      );
    };
    expect(cost(18, { firstColumn: 6, columnCount: 6 })).toEqual(cost(6, {}));
    expect(cost(6, {})).toMatchObject({ flops: 2 * 7 * 6 * 8, bytes: 4 * (7 * 14 + 48) });
  });
});
