/** @file The gradient rule of `elementwise`. */

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import type { ElementwiseOperation } from "../../src/ops/elementwise.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { checkGradient } from "./check-gradient.ts";
import { numbers } from "./sources.ts";

const BUILT = ["add", "sub", "mul", "max", "div"] as const;

/** What is divided by stays away from 0, where a difference says nothing about a slope. */
function seconds(operation: (typeof BUILT)[number], shape: readonly number[]): ReturnType<typeof numbers> {
  return operation === "div" ? numbers(2, shape, 0.3, 2) : numbers(2, shape);
}

/** What b is beside an a of this shape. */
const SECONDS = [
  { name: "the same shape", a: [7, 5], b: [7, 5] },
  { name: "a row", a: [19, 5], b: [5] },
  { name: "a row, four at a time", a: [19, 8], b: [8] },
  { name: "a row under three axes", a: [3, 2, 4], b: [4] },
  { name: "one value", a: [7, 5], b: [1] },
  { name: "one value beside a vector", a: [9], b: [1] },
  { name: "one value beside one column", a: [9, 1], b: [1] },
  { name: "one value beside three axes", a: [2, 3, 4], b: [1] },
] as const;

function apply(b: GraphBuilder, operation: ElementwiseOperation, left: Value, right?: Value): Value {
  return b.op(elementwise, { a: left, b: right }, { operation }).y as Value;
}

describe.each(BUILT)("%s", (operation) => {
  test.each(SECONDS)("b is $name", async ({ a, b }) => {
    await checkGradient({
      sources: { left: numbers(1, a), right: seconds(operation, b) },
      build: (builder, { left, right }) => [apply(builder, operation, left as Value, right)],
    });
  });

  test.each(["left", "right"])("only %s", async (parameter) => {
    await checkGradient({
      sources: { left: numbers(1, [4, 3]), right: seconds(operation, [3]) },
      leaves: [{ parameter }],
      build: (builder, { left, right }) => [apply(builder, operation, left as Value, right)],
    });
  });

  test("a and b are one value", async () => {
    await checkGradient({
      sources: { left: numbers(1, [4, 3]) },
      build: (builder, { left }) => [apply(builder, operation, left as Value, left)],
    });
  });
});

test("equal operands of max: all of the gradient goes to b", async () => {
  const same = numbers(1, [2, 3]);
  const b = new GraphBuilder({ differentiable: true });
  const [left, right] = [b.parameter("left", same.shape), b.parameter("right", same.shape)];
  const y = apply(b, "max", left, right);
  const found = backpropagate(b, [{ value: y, gradient: b.parameter("seed", [2, 3]) }], [{ parameter: "left" }]);
  const [part] = found.get("left") ?? [];
  expect(part?.value.node.label).toBe("activation-gradient");
  expect(part?.value.node.attributes.kind).toBe("relu");
});

test("sqrt", async () => {
  await checkGradient({
    sources: { left: numbers(1, [7, 5], 0.3, 3) },
    build: (builder, { left }) => [apply(builder, "sqrt", left as Value)],
  });
});

test.each(["hypot", "log"] as const)("%s is refused by name", (operation) => {
  const b = new GraphBuilder({ differentiable: true });
  const left = b.parameter("left", [3]);
  const y = apply(b, operation, left, operation === "hypot" ? b.parameter("right", [3]) : undefined);
  const seeds = [{ value: y, gradient: b.parameter("seed", [3]) }];
  expect(() => backpropagate(b, seeds, [{ parameter: "left" }])).toThrow(`the gradient of ${operation} is not built`);
});

test("a sum over two lengths of a run is refused", () => {
  const b = new GraphBuilder({ differentiable: true });
  const right = b.parameter("right", [4]);
  const y = apply(b, "mul", b.input("left", [runtimeDim("r"), runtimeDim("s"), 4]), right);
  expect(() => backpropagate(b, [{ value: y, gradient: y }], [{ parameter: "right" }])).toThrow(
    "two lengths of the run",
  );
});
