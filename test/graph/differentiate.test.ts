/** @file Reverse mode: what is built on the way back, what is not, and which errors there are. Numbers: test/gradients. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate, differentiate } from "../../src/graph/differentiate.ts";
import type { Leaf, LeafGradient } from "../../src/graph/differentiate.ts";
import { optimize } from "../../src/graph/passes/optimize.ts";
import { valueKey } from "../../src/graph/value.ts";
import type { Graph, Node, Value } from "../../src/graph/value.ts";
import { activation } from "../../src/ops/activation.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import type { ElementwiseOperation } from "../../src/ops/elementwise.ts";
import { fill } from "../../src/ops/fill.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import type { GradientPart, GradientRule } from "../../src/ops/gradient.ts";
import { gradientRules } from "../../src/ops/gradients/index.ts";
import type { Op, TensorType } from "../../src/ops/op.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { positionScores } from "../../src/ops/position-scores.ts";
import { rowDot } from "../../src/ops/row-dot.ts";
import { rowPlaces } from "../../src/ops/row-places.ts";
import { scaleRows } from "../../src/ops/scale-rows.ts";
import { sumRows } from "../../src/ops/sum-rows.ts";
import { thresholdRows } from "../../src/ops/threshold-rows.ts";
import { topK } from "../../src/ops/top-k.ts";
import { checkGradient } from "../gradients/check-gradient.ts";
import { numbers } from "../gradients/sources.ts";

/** What the rule of the op `windowed` was asked. */
const asked = { slots: [] as (number | null)[], wants: [] as boolean[] };

const windowed: GradientRule = (_, call) => {
  asked.slots.push(call.slotOf("w"));
  asked.wants.push(call.wants("x"), call.wants("w"));
  const part: GradientPart = { at: call.attributes.at as number, value: call.gradients.y as GradientPart["value"] };
  return { x: call.gradients.y, w: [part] };
};
const misshapen: GradientRule = (b, call) => ({ x: b.reshape(call.gradients.y as Value, [2, 2]) });
// Of ops that only this test has; other files of this process share the table.
beforeAll(() => void Object.assign(gradientRules, { windowed, misshapen }));
afterAll(() => ["windowed", "misshapen"].forEach((stem) => Reflect.deleteProperty(gradientRules, stem)));

/** x, w? -> y of x's shape: an op that only this test has. */
function strange(stem: string): Op {
  return {
    stem,
    infer: ({ x }) => ({ y: x as TensorType }),
    cost: () => ({ flops: 0, bytes: 0 }),
    variants: () => ["none"],
    launch: () => [],
  };
}

function builder(): GraphBuilder {
  return new GraphBuilder({ differentiable: true });
}

function ew(b: GraphBuilder, operation: ElementwiseOperation, left: Value, right: Value): Value {
  return b.op(elementwise, { a: left, b: right }, { operation }).y as Value;
}

function act(b: GraphBuilder, x: Value, kind: "relu" | "tanh" = "tanh"): Value {
  return b.op(activation, { x }, { kind }).y as Value;
}

/** ∂L/∂leaf where ∂L/∂y is a parameter. */
function back(
  b: GraphBuilder,
  y: Value,
  ...leaves: readonly (string | Leaf)[]
): ReadonlyMap<string, readonly LeafGradient[]> {
  const gradient = b.parameter(`seed of ${valueKey(y)}`, y.type.shape);
  const named = leaves.map((leaf) => (typeof leaf === "string" ? { parameter: leaf } : leaf));
  return backpropagate(b, [{ value: y, gradient }], named);
}

/** The finished graph of all gradients. */
function finished(b: GraphBuilder, gradients: ReadonlyMap<string, readonly LeafGradient[]>): Graph {
  const parts = [...gradients].flatMap(([name, values]) =>
    values.map(({ at, value }) => [`${name} ${at}`, value] as const),
  );
  return b.finish(new Map(parts));
}

function ops({ nodes }: Graph): readonly Node[] {
  return nodes.filter(({ kind }) => kind === "op");
}

function errorOf(run: () => unknown): EngineError {
  try {
    run();
  } catch (error) {
    if (error instanceof EngineError) return error;
  }
  throw new Error("no EngineError was thrown");
}

describe("numbers", () => {
  test("a value with several uses gets the sum of what they give", async () => {
    await checkGradient({
      sources: { x: numbers(1, [3, 4]), row: numbers(2, [4]) },
      build: (b, { x, row }) => {
        const h = act(b, x as Value);
        return [ew(b, "mul", ew(b, "mul", h, h), ew(b, "add", h, row as Value)), ew(b, "sub", h, x as Value)];
      },
    });
  });

  test("through views", async () => {
    await checkGradient({
      sources: { x: numbers(1, [3, 4]), w: numbers(2, [2]) },
      build: (b, { x, w }) => {
        const turned = b.reshape(x as Value, [6, 2]);
        return [ew(b, "mul", act(b, turned), w as Value), b.reshape(turned, [12])];
      },
    });
  });

  test("a straight-through value: the forward pass is the one, the way back the other", () => {
    const b = builder();
    const x = b.parameter("x", [5]);
    const hard = act(b, x, "relu");
    const soft = act(b, x);
    const y = b.withGradient(hard, [soft], (gradient) => [gradient]);
    const custom = back(b, y, "x").get("x")?.[0]?.value.node;
    expect([custom?.label, custom?.attributes.kind]).toEqual(["activation-gradient", "tanh"]);
  });
});

describe("what is built", () => {
  test("equal work on the way back is one value", () => {
    const b = builder();
    const y = ew(b, "max", act(b, b.parameter("p", [5])), act(b, b.parameter("q", [5])));
    // Both sides of max need where a is the larger one.
    const graph = finished(b, back(b, y, "p", "q"));
    expect(ops(graph).filter(({ attributes }) => attributes.kind === "relu")).toHaveLength(1);
  });

  test("two uses that give the same contribution are added, not merged", () => {
    const b = builder();
    const x = act(b, b.parameter("p", [5]));
    const y = ew(b, "add", x, x);
    const [part] = back(b, y, "p").get("p") ?? [];
    const sum = (part as LeafGradient).value.node.inputs.dy?.node;
    expect(sum?.label).toBe("elementwise");
    expect(sum?.inputs.a).toBe(sum?.inputs.b);
  });

  test("below the last trained parameter nothing is built, and nothing for what is frozen beside it", () => {
    const b = builder();
    const layer = (x: Value, name: string): Value =>
      b.scope(name, () => act(b, ew(b, "mul", x, b.parameter(`${name}.w`, [8]))));
    const y = layer(layer(layer(b.input("x", [runtimeDim("rows"), 8]), "one"), "two"), "three");
    const graph = finished(b, back(b, y, "two.w"));
    const scopes = ops(graph).map(({ scope, label }) => `${scope}: ${label}`);
    expect(scopes.filter((scope) => scope.startsWith("backward"))).toEqual([
      "backward.three: activation-gradient",
      "backward.three: elementwise",
      "backward.two: activation-gradient",
      "backward.two: elementwise",
      "backward.two: sum-rows",
    ]);
  });

  test("a leaf that no value depends on has no gradient, and the loss is not walked through for it", () => {
    const b = builder();
    const y = b.op(strange("without-rule"), { x: b.input("x", [3]) }, {}).y as Value;
    b.parameter("lonely", [3]);
    expect(back(b, y, "lonely").get("lonely")).toEqual([]);
  });

  test("whole numbers carry nothing: a choice of rows does not depend on its scores", () => {
    const b = builder();
    const tables = { segments: b.input("segments", [2], "u32"), selected_segments: b.input("chosen", [2], "u32") };
    const { rows } = b.op(topK, { scores: act(b, b.parameter("scores", [6])), ...tables }, { count: "picked" });
    const y = b.op(gatherRows, { x: b.parameter("x", [6, 4]), rows }, {}).y as Value;
    const gradients = back(b, y, "scores", "x");
    expect(gradients.get("scores")).toEqual([]);
    expect(gradients.get("x")).toHaveLength(1);
  });

  test("the way back is fused as other graphs are", () => {
    const b = builder();
    const x = act(b, b.parameter("p", [7, 4]));
    const y = ew(b, "add", x, x);
    const graph = finished(b, back(b, y, "p"));
    expect(optimize(graph).outputs.size).toBe(1);
  });
});

describe("constants", () => {
  const ROWS = 6;

  test("numbers made from a shape or a place alone have no way back, nor what would lead to them", () => {
    const b = builder();
    const x = act(b, b.parameter("x", [ROWS, 4]));
    const segments = b.input("segments", [2], "u32");
    const ones = b.op(fill, { x }, { value: 1, axes: 1 }).y as Value;
    const places = b.op(positionScores, { x, segments }, { mode: "first" }).y as Value;
    const weight = ew(b, "add", ones, places);
    const graph = finished(b, back(b, b.op(scaleRows, { x, weight }, {}).y as Value, "x"));
    const backward = ops(graph).filter(({ scope }) => scope === "backward");
    expect(backward.map(({ label }) => label)).toEqual(["scale-rows", "activation-gradient"]);
  });

  test("selections and tables are not reached", () => {
    const b = builder();
    const segments = b.input("segments", [2], "u32");
    const tables = { segments, selected_segments: segments };
    const scores = b.op(rowDot, { x: b.parameter("x", [ROWS, 4]), w: b.parameter("w", [4]) }, {}).y as Value;
    const top = b.op(topK, { scores, ...tables }, { count: "a" }).rows as Value;
    const above = b.op(thresholdRows, { scores, segments, capacity_segments: segments }, { threshold: 0, count: "b" });
    const table = b.parameter("table", [ROWS, 4]);
    const read = (rows: Value): Value => {
      const places = b.op(rowPlaces, { rows, segments }, {}).y as Value;
      return b.op(gatherRows, { x: table, rows: places }, {}).y as Value;
    };
    const found = (y: Value, ...leaves: readonly string[]): (readonly [string, number])[] =>
      [...back(b, y, ...leaves)].map(([name, parts]) => [name, parts.length]);
    expect(found(read(top), "w", "x", "table")).toEqual([
      ["w", 0],
      ["x", 0],
      ["table", 1],
    ]);
    expect(found(read(above.rows as Value), "w", "x")).toEqual([
      ["w", 0],
      ["x", 0],
    ]);
  });
});

describe("custom gradients", () => {
  test("a builder that does not differentiate hands the value back", () => {
    const b = new GraphBuilder();
    const x = b.input("x", [5]);
    expect(b.withGradient(act(b, x), [x], () => [undefined])).toBe(act(b, x));
  });

  test("sources without a gradient, and frozen ones, get none", () => {
    const b = builder();
    const [p, q, frozen] = ["p", "q", "frozen"].map((name) => act(b, b.parameter(name, [5]))) as [Value, Value, Value];
    const y = b.withGradient(ew(b, "mul", p, q), [p, q, frozen], (gradient) => [gradient, undefined, gradient]);
    const gradients = back(b, y, "p", "q");
    expect(gradients.get("p")).toHaveLength(1);
    expect(gradients.get("q")).toEqual([]);
    expect(ops(finished(b, gradients)).filter(({ scope }) => scope === "backward")).toHaveLength(1);
  });

  test("a source may be a trained parameter itself", () => {
    const b = builder();
    const p = b.parameter("p", [5]);
    const y = b.withGradient(act(b, p, "relu"), [p], (gradient) => [gradient]);
    const parts = back(b, y, "p").get("p") ?? [];
    expect(parts.map(({ at, value }) => [at, value.node.kind])).toEqual([[0, "parameter"]]);
  });

  test("a value that depends on a leaf in another way than by its sources does not count", () => {
    const b = builder();
    const p = act(b, b.parameter("p", [5]));
    const y = b.withGradient(p, [b.input("x", [5])], (gradient) => [gradient]);
    expect(back(b, y, "p").get("p")).toEqual([]);
  });

  test("each is a value of its own, though the forward pass is the same", () => {
    const b = builder();
    const p = act(b, b.parameter("p", [5]));
    const twice = (gradient: Value): Value => ew(b, "add", gradient, gradient);
    const plain = b.withGradient(p, [p], (gradient) => [gradient]);
    const doubled = b.withGradient(p, [p], (gradient) => [twice(gradient)]);
    expect(plain).not.toBe(doubled);
    const slopes = [plain, doubled].map((y) => back(b, y, "p").get("p")?.[0]?.value.node.inputs.dy?.node.label);
    expect(slopes).toEqual([expect.stringContaining("seed"), "elementwise"]);
  });

  test("nothing is left of it in an optimised graph", () => {
    const b = builder();
    const p = act(b, b.parameter("p", [5]));
    const y = b.withGradient(p, [b.parameter("q", [5])], (gradient) => [gradient]);
    const graph = optimize(b.finish({ y }));
    expect(graph.nodes.map(({ label }) => label)).toEqual(["p", "activation"]);
  });

  test("a gradient of another shape than its source is refused", () => {
    const b = builder();
    const p = act(b, b.parameter("p", [5]));
    const y = b.withGradient(p, [p], (gradient) => [b.reshape(gradient, [5, 1])]);
    expect(() => back(b, y, "p")).toThrow("the gradient of source 0 is [5, 1], expected [5]");
  });
});

describe("parts and slots", () => {
  const op = strange("windowed");

  /** Two windows of one parameter, the first one read twice, in reverse order. */
  function windows(b: GraphBuilder): Value {
    const w = b.parameter("w", [3, 100]);
    const x = b.input("x", [4]);
    return [8, 0, 0].reduce(
      (value, at) => {
        const y = b.op(op, { x: value, w }, { at }).y as Value;
        return ew(b, "add", y, value);
      },
      act(b, x),
    );
  }

  test("stretches of a parameter come in their order, those of one place added up", () => {
    const b = builder();
    const parts = back(b, windows(b), "w").get("w") ?? [];
    expect(parts.map(({ at }) => at)).toEqual([0, 8]);
    expect(parts[0]?.value.node.label).toBe("elementwise");
  });

  test("a rule hears of the slot that is trained, and of what is wanted", () => {
    asked.slots.length = 0;
    asked.wants.length = 0;
    const b = builder();
    back(b, b.op(op, { x: b.input("x", [4]), w: b.parameter("w", [3, 100]) }, { at: 0 }).y as Value, {
      parameter: "w",
      slot: 2,
    });
    back(b, b.op(op, { x: act(b, b.parameter("p", [4])), w: b.parameter("w", [3, 100]) }, { at: 0 }).y as Value, "p");
    expect(asked.slots).toEqual([2, null]);
    expect(asked.wants).toEqual([false, true, true, false]);
  });

  test("what is no parameter has no parts", () => {
    const b = builder();
    const y = b.op(op, { x: b.input("x", [4]), w: act(b, b.parameter("p", [4])) }, { at: 0 }).y as Value;
    expect(() => back(b, y, "p")).toThrow(
      "windowed: the gradient of w has parts, but w is no parameter that is trained",
    );
  });
});

describe("errors", () => {
  test("an op without a rule is named, with its place", () => {
    const b = builder();
    const x = act(b, b.parameter("p", [4]));
    const y = b.scope("layers.3", () => b.scope("ffn", () => b.op(strange("without-rule"), { x }, {}).y as Value));
    const error = errorOf(() => back(b, act(b, y), "p"));
    expect([error.code, error.where]).toEqual(["UNSUPPORTED", "layers.3.ffn"]);
    expect(error.message).toContain("without-rule: has no gradient rule");
  });

  test("an op without a rule that only frozen values go through is none", () => {
    const b = builder();
    const frozen = b.op(strange("without-rule"), { x: b.input("x", [4]) }, {}).y as Value;
    expect(back(b, ew(b, "mul", frozen, b.parameter("p", [4])), "p").get("p")).toHaveLength(1);
  });

  test("a rule that gives another shape is found out", () => {
    const b = builder();
    const y = b.op(strange("misshapen"), { x: act(b, b.parameter("p", [4])) }, {}).y as Value;
    expect(() => back(b, y, "p")).toThrow("misshapen: the gradient of x is [2, 2], expected [4]");
  });

  test("a loss is one number", () => {
    const b = builder();
    const p = b.parameter("p", [2, 3]);
    expect(errorOf(() => differentiate(b, act(b, p), [{ parameter: "p" }]))).toMatchObject({
      code: "SHAPE",
      message: expect.stringContaining("the loss is [2, 3], expected [1]") as string,
    });
  });
});

test("rows whose number the device finds have no gradient, and say so", () => {
  const b = builder();
  const [segments, capacity] = ["segments", "capacity"].map((name) => b.input(name, [2], "u32")) as [Value, Value];
  const inputs = { scores: b.input("scores", [4]), segments, capacity_segments: capacity };
  const { rows } = b.op(thresholdRows, inputs, { threshold: 0, count: "found" }) as { rows: Value };
  const x = b.parameter("x", [4, 3]);
  const y = b.op(gatherRows, { x, rows }, {}).y as Value;
  expect(() => back(b, y, "x")).toThrow(
    "threshold-rows: what is computed of rows that the device counts has no gradient",
  );
  // Nothing trained lies on the way: nothing is refused.
  expect(back(b, y, "other").get("other")).toEqual([]);
});

test("a loss that is a trained parameter itself has the gradient one", () => {
  const b = builder();
  const gradients = differentiate(b, b.parameter("p", [1]), [{ parameter: "p" }]);
  expect(gradients.get("p")?.map(({ value }) => value.node.label)).toEqual(["fill"]);
});

test("the gradient of a loss starts from one", () => {
  const b = builder();
  const loss = b.op(sumRows, { x: b.reshape(act(b, b.parameter("p", [2, 3])), [6, 1]) }, {}).y as Value;
  const gradients = differentiate(b, loss, [{ parameter: "p" }]);
  expect(gradients.get("p")?.map(({ at, value }) => [at, value.type.shape])).toEqual([[0, [2, 3]]]);
  const fills = ops(finished(b, gradients)).filter(({ label }) => label === "fill");
  expect(fills.map(({ attributes }) => attributes.value)).toContain(1);
});
