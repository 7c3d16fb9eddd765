/** @file `matmul` with a stack of matrices: the slot is a size of the run; what is refused; what it costs. */

import { describe, expect, test } from "vitest";
import { matrix } from "../../src/cases/case-tensors.ts";
import { normal } from "../../src/cases/case.ts";
import type { OpCase } from "../../src/cases/case.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { EngineError } from "../../src/errors.ts";
import { Arena } from "../../src/graph/arena.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { fuseMatmul } from "../../src/graph/passes/fuse-matmul.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { Value } from "../../src/graph/value.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import { matmul } from "../../src/ops/matmul.ts";
import type { MatmulAttributes } from "../../src/ops/matmul.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { OpCall, TensorType } from "../../src/ops/op.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const f32 = (...shape: TensorType["shape"]): TensorType => ({ shape, element: "f32" });
const rows = runtimeDim("rows");
const [SLOTS, SLOT_ROWS, INNER] = [4, 12, 64];
const attributes: MatmulAttributes = { slot: "task", slotRows: SLOT_ROWS };

describe("the slot of a matmul", () => {
  test("is read anew by every run of one plan, and gives the bits of a matmul with that matrix alone", async () => {
    const gpu = await sharedGpu();
    const [x, w, bias] = [normal(1, 20 * INNER), normal(2, SLOTS * SLOT_ROWS * INNER), normal(3, SLOTS * SLOT_ROWS)];
    const b = new GraphBuilder();
    const inputs = {
      x: b.input("x", [rows, INNER]),
      w: b.parameter("w", [SLOTS * SLOT_ROWS, INNER]),
      bias: b.parameter("bias", [SLOTS * SLOT_ROWS]),
    };
    const [arena, parameters] = [new Arena(gpu), new Parameters(gpu)];
    parameters.set("w", inputs.w.type, w);
    parameters.set("bias", inputs.bias.type, bias);
    const capacities = { rows: 20, task: SLOTS - 1 };
    const graph = b.finish(b.op(matmul, inputs, attributes));
    const variant = "register";
    const plan = await Plan.create({ gpu, graph, parameters, arena, capacities, choose: () => variant });
    for (const slot of [0, 3, 1, 1, 2]) {
      const first = slot * SLOT_ROWS;
      const alone: OpCase = {
        name: `slot ${slot}`,
        attributes: {},
        inputs: () => ({
          x: matrix(x, INNER),
          w: { shape: [SLOT_ROWS, INNER], data: w.slice(first * INNER, (first + SLOT_ROWS) * INNER) },
          bias: { shape: [SLOT_ROWS], data: bias.slice(first, first + SLOT_ROWS) },
        }),
        tolerance: 0,
      };
      const { outputs } = await plan.run({ x }, { rows: 20, task: slot });
      expect(outputs.y?.data, alone.name).toEqual((await evaluateCase(gpu, matmul, alone, variant)).y?.data);
    }
    plan.dispose();
    await arena.dispose();
    parameters.dispose();
  });

  test("past the last one, or without a size, is refused before anything is submitted", async () => {
    const gpu = await sharedGpu();
    const inputs: OpCase["inputs"] = () => ({
      x: matrix(normal(1, INNER), INNER),
      w: { shape: [2 * SLOT_ROWS, INNER], data: normal(2, 2 * SLOT_ROWS * INNER) },
    });
    const stacked: OpCase = { name: "stray", attributes: { ...attributes }, inputs, tolerance: 0 };
    const run = (sizes: Record<string, number>): Promise<unknown> => evaluateCase(gpu, matmul, { ...stacked, sizes });
    await expect(run({ task: 2 })).rejects.toThrow("matmul: task is 2, w has 2 slots");
    await expect(run({ task: 0.5 })).rejects.toThrow(EngineError);
    await expect(run({})).rejects.toThrow("no size is given for task");
    await run({ task: 1 });
  });
});

describe("shapes of a stack of matrices", () => {
  const [x, w] = [f32(rows, 8), f32(12, 8)];
  const infer = (given: MatmulAttributes, bias = f32(12)) => matmul.infer({ x, w, bias }, given).y?.shape[1];

  test("the columns are the rows of one slot, or those of them that are asked for", () => {
    expect(infer({ slot: "task", rowCount: 4 })).toBe(4);
    expect(infer({ slot: "task", slotRows: 6 })).toBe(6);
    expect(infer({ slot: "task", slotRows: 6, firstRow: 2 })).toBe(4);
    expect(infer({ slot: "task", slotRows: 6, firstRow: 2, rowCount: 3 })).toBe(3);
  });

  test("errors name the axis and both values", () => {
    expect(() => infer({ slot: "task", slotRows: 5 })).toThrow("w axis 0 is 12, expected a multiple of the 5 rows");
    expect(() => infer({ slot: "task", slotRows: 24 })).toThrow("w axis 0 is 12, expected a multiple of the 24 rows");
    expect(() => infer({ slot: "task", slotRows: 0 })).toThrow("expected a multiple of the 0 rows");
    expect(() => infer({ slot: "task", slotRows: 6, firstRow: 3, rowCount: 4 })).toThrow("a slot has 6");
    expect(() => infer({ slot: "task", firstRow: 1, rowCount: 4 })).toThrow("rows 1 to 5 are asked for, a slot has 4");
    expect(() => infer({ slot: "task" })).toThrow("slot needs slotRows or rowCount");
    expect(() => infer({ slotRows: 6 })).toThrow("slotRows is given without slot");
    expect(() => infer({ slot: "task", slotRows: 6 }, f32(6))).toThrow("bias axis 0 is 6, expected 12");
  });

  test("the cost is that of the rows that take part, bias included", () => {
    const cost = (inputs: OpCall["inputs"], given: MatmulAttributes): unknown =>
      matmul.cost({ inputs, outputs: matmul.infer(inputs, given), attributes: given }, (dim) =>
        typeof dim === "number" ? dim : 7,
      );
    const alone = cost({ x, w: f32(6, 8), bias: f32(6) }, {});
    expect(cost({ x, w, bias: f32(12) }, { slot: "task", slotRows: 6 })).toEqual(alone);
    const half = (count: number): TensorType => ({ shape: [count, 8], element: "f16" });
    expect(cost({ x, w: half(12) }, { slot: "task", slotRows: 6 })).toEqual(cost({ x, w: half(6) }, {}));
  });
});

describe("fusion around a stack of matrices", () => {
  const labelsOf = (other: (b: GraphBuilder) => Value): string[] => {
    const b = new GraphBuilder();
    const product = b.op(
      matmul,
      { x: b.input("x", [rows, 8]), w: b.parameter("w", [12, 8]) },
      { slot: "task", slotRows: 6 },
    ).y as Value;
    const y = b.op(elementwise, { a: product, b: other(b) }, { operation: "add" }).y as Value;
    return fuseMatmul(b.finish({ y }))
      .nodes.filter(({ kind }) => kind === "op")
      .map(({ label }) => label);
  };

  test("a row vector is no bias of it: that would be a stack as well", () => {
    expect(labelsOf((b) => b.parameter("v", [6]))).toEqual(["matmul", "elementwise"]);
  });

  test("a residual is the same in every slot", () => {
    expect(labelsOf((b) => b.input("r", [rows, 6]))).toEqual(["matmul"]);
  });
});
