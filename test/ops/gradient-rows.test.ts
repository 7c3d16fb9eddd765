/** @file What the row operations of the way back promise: bits that follow the plan and the row alone, shape errors that name the axis. */

import { describe, expect, test } from "vitest";
import type { CaseTensor } from "../../src/cases/case.ts";
import { normal } from "../../src/cases/case.ts";
import { matrix, vector } from "../../src/cases/case-tensors.ts";
import { caseGraph, evaluateCase } from "../../src/cases/evaluate.ts";
import { EngineError } from "../../src/errors.ts";
import { Arena } from "../../src/graph/arena.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import { activationGradient } from "../../src/ops/activation-gradient.ts";
import { layerNormGradient } from "../../src/ops/layer-norm-gradient.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { Attributes, Dim, ElementType, Op, TensorType } from "../../src/ops/op.ts";
import { rmsNormGradient } from "../../src/ops/rms-norm-gradient.ts";
import { softmaxGradient } from "../../src/ops/softmax-gradient.ts";
import { sumByIndex } from "../../src/ops/sum-by-index.ts";
import { sumRows } from "../../src/ops/sum-rows.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const WIDTH = 52;
const ROWS = 300;
const SHORT = 37;

const rows = runtimeDim("rows");
const tensor = (shape: readonly Dim[], element: ElementType = "f32"): TensorType => ({ shape, element });
const bits = (data: ArrayLike<number> | undefined): Uint32Array =>
  new Uint32Array(Float32Array.from(data ?? []).buffer);

function message(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof EngineError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "no error";
}

/** The first rows of a matrix, and zeros for the others. */
function shortened(data: Float32Array): Float32Array {
  return data.map((value, i) => (i < SHORT * WIDTH ? value : 0));
}

const x = normal(1, ROWS * WIDTH, 2, 1);
const dy = normal(2, ROWS * WIDTH);
const gamma = vector(normal(3, WIDTH, 0.3, 1));

describe("sums over rows are those of the plan, whatever the length of a run", () => {
  const sums: readonly (readonly [op: Op<never>, attributes: Attributes, inputs: () => Record<string, CaseTensor>])[] =
    [
      [sumRows, {}, () => ({ x: matrix(shortened(dy), WIDTH) })],
      [
        layerNormGradient,
        { eps: 1e-5, affine: true },
        () => ({ x: matrix(x, WIDTH), gamma, dy: matrix(shortened(dy), WIDTH) }),
      ],
      [
        rmsNormGradient,
        { eps: 1e-5, affine: true },
        () => ({ x: matrix(x, WIDTH), gamma, dy: matrix(shortened(dy), WIDTH) }),
      ],
    ];

  test.each(sums.map(([op, ...rest]) => [op.stem, op, ...rest] as const))("%s", async (_, op, attributes, inputs) => {
    const gpu = await sharedGpu();
    const { graph, inputs: data } = caseGraph(op, { name: "sums", attributes, inputs, tolerance: 0 });
    const [arena, parameters] = [new Arena(gpu), new Parameters(gpu)];
    const plan = await Plan.create({ gpu, graph, parameters, arena, capacities: { rows: ROWS } });
    try {
      // Of the long run the rows past the short one add nothing.
      const long = (await plan.run(data, { rows: ROWS })).outputs;
      const cut = Object.entries(data).map(([name, values]) => {
        return [name, values.length > WIDTH ? values.slice(0, SHORT * WIDTH) : values] as const;
      });
      const short = (await plan.run(Object.fromEntries(cut), { rows: SHORT })).outputs;
      for (const name of Object.keys(long).filter((output) => output !== "dx"))
        expect(bits(short[name]?.data), name).toEqual(bits(long[name]?.data));
    } finally {
      plan.dispose();
      parameters.dispose();
      await arena.dispose();
    }
  });
});

describe("a row's bits do not depend on its place or its neighbours", () => {
  const ops: readonly (readonly [op: Op<never>, attributes: Attributes])[] = [
    [layerNormGradient, { eps: 1e-5 }],
    [layerNormGradient, { eps: 1e-5, affine: true }],
    [rmsNormGradient, { eps: 1e-5 }],
    [softmaxGradient, {}],
  ];
  const table = ops.flatMap(([op, attributes]) =>
    ["lane", "workgroup"].map((variant) => [op.stem, variant, op, attributes] as const),
  );

  test.each(table)("%s, %s", async (stem, variant, op, attributes) => {
    const gpu = await sharedGpu();
    const slice = async (from: number, to: number): Promise<Uint32Array> => {
      const part = (data: Float32Array): CaseTensor => matrix(data.slice(from * WIDTH, to * WIDTH), WIDTH);
      const own = stem === "softmax-gradient" ? { y: part(x) } : { x: part(x), gamma };
      const inputs = (): Record<string, CaseTensor> => ({ ...own, dy: part(dy) });
      return bits((await evaluateCase(gpu, op, { name: "bits", attributes, inputs, tolerance: 0 }, variant)).dx?.data);
    };
    const all = await slice(0, SHORT);
    for (const row of [0, 15, 16, 36])
      expect(await slice(row, row + 1)).toEqual(all.slice(row * WIDTH, (row + 1) * WIDTH));
  });
});

describe("shapes", () => {
  const m = tensor([rows, 8]);
  const v = tensor([8]);
  const index = tensor([rows], "u32");

  test("of the gradients of norms", () => {
    const inputs = { x: m, gamma: v, dy: m };
    expect(layerNormGradient.infer(inputs, { eps: 0 })).toEqual({ dx: m });
    expect(layerNormGradient.infer(inputs, { eps: 0, affine: true })).toEqual({ dx: m, dgamma: v, dbeta: v });
    expect(rmsNormGradient.infer(inputs, { eps: 0, affine: true })).toEqual({ dx: m, dgamma: v });
  });

  test.each([
    ["eps is NaN", () => rmsNormGradient.infer({ x: m, gamma: v, dy: m }, { eps: Number.NaN })],
    ["input dy is missing", () => layerNormGradient.infer({ x: m, gamma: v }, { eps: 0 })],
    ["dy axis 0 is 3", () => layerNormGradient.infer({ x: m, gamma: v, dy: tensor([3, 8]) }, { eps: 0 })],
    [
      "residual axis 1 is 9",
      () => layerNormGradient.infer({ x: m, gamma: v, dy: m, residual: tensor([rows, 9]) }, { eps: 0 }),
    ],
    ["gamma axis 0 is 9", () => rmsNormGradient.infer({ x: m, gamma: tensor([9]), dy: m }, { eps: 0 })],
    ["weight axis 0 is 3, expected rows", () => sumRows.infer({ x: m, weight: tensor([3]) }, {})],
    ["x axis 1 is rows, expected a number", () => sumRows.infer({ x: tensor([8, rows]) }, {})],
    [
      "order axis 0 is 3, expected rows",
      () => sumByIndex.infer({ x: m, rows: index, order: tensor([3], "u32"), like: v }, {}),
    ],
    ["rows holds f32, expected u32", () => sumByIndex.infer({ x: m, rows: tensor([rows]), order: index, like: v }, {})],
    ["input like is missing", () => sumByIndex.infer({ x: m, rows: index, order: index }, {})],
    ["dy axis 1 is 9, expected 8", () => activationGradient.infer({ x: m, dy: tensor([rows, 9]) }, { kind: "relu" })],
    ["unknown activation mish", () => activationGradient.infer({ x: m, dy: m }, { kind: "mish" as never })],
    ["dy axis 0 is 3, expected rows", () => softmaxGradient.infer({ y: m, dy: tensor([3, 8]) }, {})],
  ])("%s", (expected, run) => {
    expect(message(run)).toContain(expected);
  });

  test("targets are read from the first axis, whatever lies behind it", () => {
    for (const like of [tensor([5]), tensor([5, 3], "f16"), tensor([5, 2, 2], "u32")])
      expect(sumByIndex.infer({ x: m, rows: index, order: index, like }, {})).toEqual({ y: tensor([5, 8]) });
  });
});
