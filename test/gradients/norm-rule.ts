/** @file The tests that the gradient rules of both norms pass. */

import { expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import type { Op } from "../../src/ops/op.ts";
import type { NormAttributes } from "../../src/ops/row-norm.ts";
import { checkGradient } from "./check-gradient.ts";
import { numbers } from "./sources.ts";

const SHAPES = [
  [1, 3],
  [5, 7],
  [19, 12],
  [3, 65],
] as const;

/** Declares the tests of the rule of one norm; `vectors` are the row vectors that it takes. */
export function describeNormRule(op: Op<NormAttributes>, vectors: readonly string[]): void {
  const build = (b: GraphBuilder, values: Readonly<Record<string, Value>>): Value =>
    b.op(op, values, { eps: 1e-5 }).y as Value;
  const sourcesOf = (rows: number, width: number): Parameters<typeof checkGradient>[0]["sources"] => ({
    x: numbers(1, [rows, width], 2, 0.5),
    ...Object.fromEntries(vectors.map((name, i) => [name, numbers(2 + i, [width], 0.3, 1 - i)])),
  });

  test.each(SHAPES)("%i x %i", async (rows, width) => {
    await checkGradient({ sources: sourcesOf(rows, width), build: (b, values) => [build(b, values)] });
  });

  test.each(["x", ...vectors])("%s alone", async (parameter) => {
    await checkGradient({
      sources: sourcesOf(5, 8),
      leaves: [{ parameter }],
      build: (b, values) => [build(b, values)],
    });
  });

  test("of a row of one value only beta has a slope", async () => {
    await checkGradient({
      sources: sourcesOf(3, 1),
      leaves: vectors.map((parameter) => ({ parameter })),
      build: (b, values) => [build(b, values)],
    });
  });

  test("frozen vectors have no sums", () => {
    const b = new GraphBuilder({ differentiable: true });
    const x = b.parameter("x", [3, 4]);
    const values = { x, ...Object.fromEntries(vectors.map((name) => [name, b.parameter(name, [4])])) };
    const y = build(b, values);
    const gradient = b.parameter("seed", [3, 4]);
    const parts = backpropagate(b, [{ value: y, gradient }], [{ parameter: "x" }]).get("x") ?? [];
    const graph = b.finish(Object.fromEntries(parts.map(({ value }, i) => [`${i}`, value])));
    const ops = graph.nodes.filter(({ kind }) => kind === "op");
    expect(ops.map(({ label, attributes }) => [label, attributes])).toEqual([[`${op.stem}-gradient`, { eps: 1e-5 }]]);
  });

  test("a fused form is refused by name", () => {
    const b = new GraphBuilder({ differentiable: true });
    const x = b.parameter("x", [3, 4]);
    const values = { x, ...Object.fromEntries(vectors.map((name) => [name, b.parameter(name, [4])])) };
    const y = build(b, { ...values, residual: b.parameter("residual", [3, 4]) });
    const seeds = [{ value: y, gradient: b.parameter("seed", [3, 4]) }];
    expect(() => backpropagate(b, seeds, [{ parameter: "x" }])).toThrow(
      `${op.stem}: the gradient of the form with residual`,
    );
  });
}
