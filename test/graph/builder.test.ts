/** @file The graph builder: equal work is one value, names are aliases, errors name the axis and both values. */

import { describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { activation } from "../../src/ops/activation.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import { matmul } from "../../src/ops/matmul.ts";
import { runtimeDim } from "../../src/ops/op.ts";

const ROWS = runtimeDim("rows");

describe("graph builder", () => {
  test("the same op on the same inputs with the same attributes is the same value", () => {
    const b = new GraphBuilder();
    const x = b.input("x", [ROWS, 8]);
    const relu = b.op(activation, { x }, { kind: "relu" }).y;
    expect(b.op(activation, { x: b.input("x", [ROWS, 8]) }, { kind: "relu" }).y).toBe(relu);
    expect(b.op(activation, { x }, { kind: "gelu" }).y).not.toBe(relu);
    expect(b.op(activation, { x: b.input("z", [ROWS, 8]) }, { kind: "relu" }).y).not.toBe(relu);
  });

  test("absent and undefined inputs and attributes are the same", () => {
    const b = new GraphBuilder();
    const x = b.input("x", [ROWS, 8]);
    const w = b.parameter("w", [4, 8]);
    const plain = b.op(matmul, { x, w }, {}).y;
    expect(b.op(matmul, { x, w, bias: undefined }, { firstRow: undefined } as never).y).toBe(plain);
  });

  test("a stack of tasks shares the layers below the first difference without a line of code about it", () => {
    const b = new GraphBuilder();
    const x = b.input("x", [ROWS, 8]);
    const task = (name: string): ReturnType<GraphBuilder["input"]> => {
      const shared = b.op(matmul, { x, w: b.parameter("shared", [8, 8]) }, {}).y as typeof x;
      return b.op(matmul, { x: shared, w: b.parameter(name, [8, 8]) }, {}).y as typeof x;
    };
    const outputs = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`t${i}`, task(`own.${i}`)]));
    expect(b.finish(outputs).nodes.filter(({ label }) => label === "matmul")).toHaveLength(6);
  });

  test("names are dotted by scope, may be aliases, and never mean two things", () => {
    const b = new GraphBuilder();
    const x = b.input("x", [ROWS, 8]);
    const y = b.op(activation, { x }, { kind: "relu" }).y as typeof x;
    b.scope("layers.1", () => {
      b.scope("ffn", () => b.name("output", y));
      b.name("output", y);
    });
    expect([...b.names.keys()]).toEqual(["layers.1.ffn.output", "layers.1.output"]);
    expect(() => b.scope("layers.1", () => b.name("output", x))).toThrow(/layers\.1\.output is given to two/);
  });

  test("finish leaves out what no output needs", () => {
    const b = new GraphBuilder();
    const x = b.input("x", [ROWS, 8]);
    const dead = b.op(activation, { x }, { kind: "gelu" });
    const y = b.op(activation, { x }, { kind: "relu" }).y as typeof x;
    expect(b.finish({ y }).nodes).not.toContain(dead.y?.node);
    expect(b.finish({ y }).nodes).toHaveLength(2);
  });

  test("shape errors carry the scope, the axis and both values", () => {
    const b = new GraphBuilder();
    const x = b.input("x", [ROWS, 8]);
    const build = (): unknown => b.scope("layers.3.ffn", () => b.op(matmul, { x, w: b.parameter("w", [4, 6]) }, {}));
    expect(build).toThrow(EngineError);
    expect(build).toThrow(/layers\.3\.ffn: matmul: .*w axis 1.* is 6, expected 8/);
  });

  test("one name cannot be an input of two shapes", () => {
    const b = new GraphBuilder();
    b.input("x", [ROWS, 8]);
    expect(() => b.input("x", [ROWS, 9])).toThrow(/input x is \[rows, 8\] in one place and \[rows, 9\]/);
  });

  test("reshape keeps the number of elements, also of run-time axes", () => {
    const b = new GraphBuilder();
    const hops = b.input("hops", [runtimeDim("frames", 3), 4]);
    const frames = b.reshape(hops, [runtimeDim("frames"), 12]);
    expect(frames.type.shape).toEqual([runtimeDim("frames"), 12]);
    expect(b.reshape(frames, [runtimeDim("frames", 3), 4])).toBe(hops);
    expect(() => b.reshape(hops, [runtimeDim("frames"), 8])).toThrow(/different numbers of elements/);
  });

  test("values of one batch and of another length do not mix", () => {
    const b = new GraphBuilder();
    const add = (): unknown =>
      b.op(
        elementwise,
        { a: b.input("a", [ROWS, 8]), b: b.input("b", [runtimeDim("other"), 8]) },
        { operation: "add" },
      );
    expect(add).toThrow(/\[other, 8\].*\[rows, 8\]/);
  });
});
