/** @file What all row operations promise: a row's bits depend on the row alone, and shape errors name the axis. */

import { describe, expect, test } from "vitest";
import type { CaseTensor } from "../../src/cases/case.ts";
import { normal } from "../../src/cases/case.ts";
import { matrix, vector } from "../../src/cases/case-tensors.ts";
import { EngineError } from "../../src/errors.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { activation, activationCode } from "../../src/ops/activation.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import { fill } from "../../src/ops/fill.ts";
import { layerNorm } from "../../src/ops/layer-norm.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { Attributes, Dim, ElementType, Op, TensorType } from "../../src/ops/op.ts";
import { rmsNorm } from "../../src/ops/rms-norm.ts";
import { rowDot } from "../../src/ops/row-dot.ts";
import { softmax } from "../../src/ops/softmax.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const rows = runtimeDim("rows");
const tensor = (shape: readonly Dim[], element: ElementType = "f32"): TensorType => ({ shape, element });

function message(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof EngineError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "no error";
}

describe("a row's bits do not depend on its place or its neighbours", () => {
  const width = 52;
  const count = 37;
  const data = normal(1, count * width, 2, 1);
  const gamma = vector(normal(2, width));

  async function run<A>(
    op: Op<A>,
    attributes: Attributes,
    more: Record<string, CaseTensor>,
    x: Float32Array,
    variant: string,
  ): Promise<Uint32Array> {
    const inputs = { x: matrix(x, width), ...more };
    const { y } = await evaluateCase(
      await sharedGpu(),
      op,
      { name: "bits", attributes, inputs: () => inputs, tolerance: 0 },
      variant,
    );
    return new Uint32Array(Float32Array.from(y?.data ?? []).buffer);
  }

  const ops: readonly (readonly [op: Op<never>, attributes: Attributes, inputs: Record<string, CaseTensor>])[] = [
    [layerNorm, { eps: 1e-5 }, { gamma, beta: gamma }],
    [rmsNorm, { eps: 1e-5 }, { gamma }],
    [softmax, {}, {}],
    [rowDot, {}, { w: gamma }],
  ];
  const variantsOf = (op: { stem: string }): string[] => [
    "lane",
    "workgroup",
    ...(op.stem === "layer-norm" ? ["pair"] : []),
  ];
  const table = ops.flatMap(([op, ...rest]) =>
    variantsOf(op).map((variant) => [op.stem, variant, op, ...rest] as const),
  );
  test.each(table)("%s, %s", async (_stem, variant, op, attributes, inputs) => {
    const all = await run(op, attributes, inputs, data, variant);
    const per = all.length / count;
    for (const row of [0, 15, 16, 36]) {
      const alone = await run(op, attributes, inputs, data.slice(row * width, (row + 1) * width), variant);
      expect(alone).toEqual(all.slice(row * per, (row + 1) * per));
    }
  });

  test("layer-norm: a pair of rows has the bits of single rows", async () => {
    const inputs = { gamma, beta: gamma };
    const single = await run(layerNorm, { eps: 1e-5 }, inputs, data, "lane");
    expect(await run(layerNorm, { eps: 1e-5 }, inputs, data, "pair")).toEqual(single);
  });
});

describe("shapes", () => {
  const x = tensor([rows, 8]);
  const vectors = { gamma: tensor([8]), beta: tensor([8]) };
  const attributes = { eps: 1e-5 };

  test("of the norms", () => {
    expect(layerNorm.infer({ x, ...vectors, router: tensor([8]) }, attributes)).toEqual({
      y: x,
      score: tensor([rows]),
    });
    const picked = runtimeDim("picked");
    const gathered = { x, ...vectors, residual: tensor([picked, 8]), gather: tensor([picked], "u32") };
    expect(layerNorm.infer(gathered, attributes)).toEqual({ y: tensor([picked, 8]) });
    const scattered = { x: tensor([picked, 8]), gamma: vectors.gamma, scatter: gathered.gather, base: x };
    expect(rmsNorm.infer(scattered, attributes)).toEqual({ y: x });
    const call = { inputs: { ...scattered, ...vectors }, outputs: { y: x }, attributes };
    expect(layerNorm.inPlace?.(call)).toEqual({ y: "base" });
  });

  test.each([
    ["gamma axis 0 is 7, expected 8", { x, ...vectors, gamma: tensor([7]) }],
    ["input beta is missing", { x, gamma: tensor([8]) }],
    ["residual axis 0 is other, expected rows", { x, ...vectors, residual: tensor([runtimeDim("other"), 8]) }],
    ["gather holds f32, expected u32", { x, ...vectors, gather: tensor([rows]) }],
    ["x axis 1 is rows, expected a number", { x: tensor([8, rows]), ...vectors }],
    ["without scatter does not take base", { x, ...vectors, base: x }],
    [
      "with scatter does not take router",
      { x, ...vectors, base: x, scatter: tensor([rows], "u32"), router: tensor([8]) },
    ],
    ["scatter axis 0 is 3, expected rows", { x, ...vectors, base: x, scatter: tensor([3], "u32") }],
    ["base axis 1 is 9, expected 8", { x, ...vectors, base: tensor([5, 9]), scatter: tensor([rows], "u32") }],
    [
      "origin axis 0 is 6, expected 5",
      { x, ...vectors, base: tensor([5, 8]), scatter: tensor([rows], "u32"), origin: tensor([6, 8]) },
    ],
    [
      "weight axis 0 is 6, expected 5",
      { x, ...vectors, base: tensor([5, 8]), scatter: tensor([rows], "u32"), weight: tensor([6]) },
    ],
  ])("of layer-norm: %s", (expected, inputs) => {
    expect(message(() => layerNorm.infer(inputs as Record<string, TensorType>, attributes))).toContain(
      `SHAPE layer-norm`,
    );
    expect(message(() => layerNorm.infer(inputs as Record<string, TensorType>, attributes))).toContain(expected);
  });

  test("attributes of the norms", () => {
    expect(message(() => layerNorm.infer({ x, ...vectors }, { eps: Number.NaN }))).toContain("eps is NaN");
    const gather = tensor([rows], "u32");
    expect(message(() => layerNorm.infer({ x, ...vectors, gather }, { eps: 0, gatherOf: "residual" }))).toContain(
      "no residual",
    );
  });

  test("of the others", () => {
    expect(message(() => rowDot.infer({ x, w: tensor([9]) }, {}))).toContain("w axis 0 is 9, expected 8");
    expect(message(() => softmax.infer({ x: tensor([8]) }, {}))).toContain("rank 1 [8], expected rank 2");
    expect(message(() => activation.infer({ x }, { kind: "mish" as never }))).toContain(
      "UNSUPPORTED unknown activation mish",
    );
    expect(message(() => activationCode("toString"))).toContain("unknown activation toString");
    expect(message(() => elementwise.infer({ a: x, b: tensor([9]) }, { operation: "add" }))).toContain(
      "b is [9], expected [rows, 8], its last axis or [1]",
    );
    expect(message(() => elementwise.infer({ a: x }, { operation: "add" }))).toContain("input b is missing");
    expect(message(() => elementwise.infer({ a: x, b: x }, { operation: "log" }))).toContain("log takes no b");
    expect(message(() => fill.infer({ x }, { value: Infinity }))).toContain("value is Infinity");
  });

  test("the variant follows the device and the width", () => {
    const device = { software: true } as Parameters<typeof rowDot.variants>[1];
    const call = {
      inputs: { x: tensor([rows, 768]), w: tensor([768]) },
      outputs: { y: tensor([rows]) },
      attributes: {},
    };
    expect(rowDot.variants(call, device, Number)[0]).toBe("lane");
    expect(rowDot.variants(call, { ...device, software: false }, Number)[0]).toBe("workgroup");
  });
});
