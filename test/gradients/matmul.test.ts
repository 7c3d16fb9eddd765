/** @file The gradient rule of `matmul`: both forms, bias, residual, rows of w, slots, gathered rows; what is refused; what is fused after. */

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Leaf, LeafGradient } from "../../src/graph/differentiate.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { Reference } from "../../src/graph/interpret.ts";
import { optimize } from "../../src/graph/passes/optimize.ts";
import type { Value } from "../../src/graph/value.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { matmul } from "../../src/ops/matmul.ts";
import type { MatmulAttributes } from "../../src/ops/matmul.ts";
import { references } from "../../src/reference/index.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";
import { NOWHERE, numbers, selected, table } from "./sources.ts";

// Rows, columns and inner widths: one, odd, prime, whole vectors, one over a tile.
const SHAPES = [
  [1, 1, 1],
  [5, 3, 7],
  [13, 8, 16],
  [17, 33, 12],
  [66, 40, 24],
] as const;

type Sources = Readonly<Record<string, Source>>;

/** x, w and what else a product of R rows, N rows of w and widths of K has. */
function sourcesOf([rows, height, width]: readonly [number, number, number], transposed: boolean): Sources {
  const [inner, columns] = transposed ? [height, width] : [width, height];
  return {
    x: numbers(1, [rows, inner]),
    w: numbers(2, [height, width], 0.5),
    bias: numbers(3, [columns]),
    residual: numbers(4, [rows, columns]),
  };
}

const product = (b: GraphBuilder, inputs: Readonly<Record<string, Value>>, attributes: MatmulAttributes = {}): Value =>
  b.op(matmul, inputs, attributes).y as Value;

describe.each([false, true])("transposed: %s", (transposed) => {
  const form: MatmulAttributes = transposed ? { transposed } : {};

  test.each(SHAPES)("%i rows, w of %i x %i, bias, residual", async (...shape) => {
    await checkGradient({
      sources: sourcesOf(shape, transposed),
      build: (b, values) => [product(b, values, form)],
    });
  });

  test("rows of w have parts, the same and other ones, which are added up", async () => {
    const [inner, columns] = transposed ? [4, 8] : [8, 4];
    await checkGradient({
      sources: {
        x: numbers(1, [9, inner]),
        w: numbers(2, [13, 8], 0.5),
        bias: numbers(3, [transposed ? columns : 13]),
      },
      build: (b, values) =>
        [5, 0, 5, 9].map((firstRow, i) => {
          const rows = product(b, values, { ...form, firstRow, rowCount: 4 });
          return b.op(elementwise, { a: rows, b: rows }, { operation: i === 0 ? "mul" : "add" }).y as Value;
        }),
    });
  });

  test.each([
    ["repeated", [2, 2, 0, 4, 2, 0]],
    ["pointing nowhere", [NOWHERE, 1, 5, 1]],
  ])("gathered rows, %s", async (_, rows) => {
    await checkGradient({
      sources: { x: numbers(1, [5, 8]), w: numbers(2, [8, 8]), gather: table(...rows) },
      build: (b, values) => [product(b, values, form)],
    });
  });

  test("gathered rows that the device finds", async () => {
    const { sources, rows, sizes } = selected([4, 0, 7], [2, 0, 3]);
    await checkGradient({
      sources: { ...sources, x: numbers(1, [11, 8]), w: numbers(2, [8, 8]) },
      sizes,
      leaves: [{ parameter: "x" }, { parameter: "w" }],
      build: (b, values) => [product(b, { x: values.x as Value, w: values.w as Value, gather: rows(b, values) }, form)],
    });
  });

  test("the slot that a run names", async () => {
    // A slot is one row of w here, for the check takes axis 0 of a stack for its slots.
    await checkGradient({
      sources: { x: numbers(1, [6, transposed ? 1 : 8]), w: numbers(2, [3, 8]) },
      sizes: { task: 2 },
      leaves: [{ parameter: "x" }, { parameter: "w", slot: 2 }],
      build: (b, values) => [product(b, values, { ...form, slot: "task", slotRows: 1 })],
    });
  });
});

test("a matrix that is computed, and the same value on both sides", async () => {
  await checkGradient({
    sources: { x: numbers(1, [6, 8]), u: numbers(2, [8, 8], 0.5), v: numbers(3, [8, 8], 0.5) },
    tolerance: 1e-5,
    build: (b, { x, u, v }) => [
      product(b, { x: x as Value, w: product(b, { x: u as Value, w: v as Value }) }),
      product(b, { x: x as Value, w: x as Value }),
    ],
  });
});

interface Stack {
  readonly attributes: MatmulAttributes;
  readonly leaves: readonly Leaf[];
  /** Rows of w. */
  readonly rows: number;
  readonly element?: "f32" | "f16";
}

/** The gradients of a product with a stack of rows of 4. */
function gradientsOf({ attributes, leaves, rows, element = "f32" }: Stack): {
  readonly b: GraphBuilder;
  readonly gradients: ReadonlyMap<string, readonly LeafGradient[]>;
} {
  const b = new GraphBuilder({ differentiable: true });
  const inputs = {
    x: b.parameter("x", [5, 4]),
    w: b.parameter("w", [rows, 4], element),
    bias: b.parameter("bias", [rows]),
  };
  const y = product(b, inputs, attributes);
  const gradients = backpropagate(b, [{ value: y, gradient: b.parameter("seed", y.type.shape) }], leaves);
  return { b, gradients };
}

describe("a slot of several rows", () => {
  const leaves = [
    { parameter: "w", slot: 1 },
    { parameter: "bias", slot: 1 },
  ];
  const parts = (attributes: MatmulAttributes): unknown => {
    const { gradients } = gradientsOf({ attributes: { slot: "task", slotRows: 6, ...attributes }, leaves, rows: 18 });
    return [...gradients].flatMap(([name, found]) => found.map(({ at, value }) => [name, at, value.type.shape]));
  };

  test("has its gradient at the start of the slot, that of some of its rows behind the others", () => {
    expect(parts({})).toEqual([
      ["w", 0, [6, 4]],
      ["bias", 0, [6]],
    ]);
    expect(parts({ firstRow: 2, rowCount: 3 })).toEqual([
      ["w", 8, [3, 4]],
      ["bias", 2, [3]],
    ]);
  });

  test("gives ∂x with its own rows", () => {
    const data = {
      seed: numbers(5, [5, 6]),
      w: numbers(2, [18, 4]),
      x: numbers(1, [5, 4]),
      bias: numbers(3, [18]),
    } as const;
    const { w } = data;
    const run = (stack: Stack, matrix: Source): unknown => {
      const { b, gradients } = gradientsOf(stack);
      const graph = b.finish({ dx: (gradients.get("x") as readonly LeafGradient[])[0]?.value as Value });
      const sources = (name: string) => {
        const { shape, data: values } = name === "w" ? matrix : data[name as keyof typeof data];
        return { shape, data: Float64Array.from(values) };
      };
      return interpret(graph, { references: references as Record<string, Reference>, sources, sizes: { task: 1 } });
    };
    const alone = { shape: [6, 4], data: (w.data as Float32Array).slice(24, 48) };
    expect(run({ attributes: { slot: "task", slotRows: 6 }, leaves: [{ parameter: "x" }], rows: 18 }, w)).toEqual(
      run({ attributes: {}, leaves: [{ parameter: "x" }], rows: 6 }, alone),
    );
  });

  test("must be named, where there are several", () => {
    const all = { leaves: [{ parameter: "w" }], rows: 18 };
    const stacked: MatmulAttributes = { slot: "task", slotRows: 6 };
    expect(() => gradientsOf({ ...all, attributes: stacked })).toThrow("none of w is named");
    expect(() => gradientsOf({ leaves, rows: 18, attributes: {} })).toThrow(
      "slot 1 of w is trained, and the product names no slot",
    );
    expect(gradientsOf({ ...all, rows: 6, attributes: stacked }).gradients.get("w")).toHaveLength(1);
  });
});

describe("what is refused", () => {
  test("fused forms, which only passes build", () => {
    const b = new GraphBuilder({ differentiable: true });
    const [x, w] = [b.parameter("x", [5, 4]), b.parameter("w", [6, 4])];
    const seed = b.parameter("seed", [5, 6]);
    const back = (value: Value): unknown => backpropagate(b, [{ value, gradient: seed }], [{ parameter: "w" }]);
    expect(() => back(product(b, { x, w }, { activation: "relu" }))).toThrow("the fused activation relu");
    const scatter = b.input("scatter", [5], "u32");
    expect(() => back(product(b, { x, w, scatter, base: b.parameter("base", [5, 6]) }))).toThrow("a fused scatter");
    back(product(b, { x, w }, { activation: "identity" }));
  });

  test("a matrix of f16 is not trained, but goes back to x", () => {
    const stack = { attributes: {}, rows: 6, element: "f16" } as const;
    expect(() => gradientsOf({ ...stack, leaves: [{ parameter: "w" }] })).toThrow("a w of f16 is not trained");
    expect(gradientsOf({ ...stack, leaves: [{ parameter: "x" }] }).gradients.get("x")).toHaveLength(1);
  });
});

describe("what is built", () => {
  const opsOf = (b: GraphBuilder, gradients: ReadonlyMap<string, readonly LeafGradient[]>): string[] => {
    const outputs = [...gradients].flatMap(([name, parts]) =>
      parts.map(({ at, value }): [string, Value] => [`${name} ${at}`, value]),
    );
    return optimize(b.finish(new Map(outputs)))
      .nodes.filter(({ kind }) => kind === "op")
      .map(({ label }) => label);
  };

  test("nothing for what is frozen", () => {
    const frozen = (...leaves: string[]): string[] => {
      const { b, gradients } = gradientsOf({
        attributes: {},
        rows: 6,
        leaves: leaves.map((parameter) => ({ parameter })),
      });
      return opsOf(b, gradients);
    };
    expect(frozen("x")).toEqual(["matmul"]);
    expect(frozen("w")).toEqual(["matmul-weight-gradient"]);
    expect(frozen("bias")).toEqual(["sum-rows"]);
  });

  test("the passes take gathered rows, a further gradient and a row vector into the products", () => {
    const b = new GraphBuilder({ differentiable: true });
    const [x, w, more] = [b.parameter("x", [9, 4]), b.parameter("w", [6, 4]), b.parameter("more", [7, 4])];
    const rows = b.op(gatherRows, { x, rows: b.input("rows", [7], "u32") }, {}).y as Value;
    const y = product(b, { x: rows, w });
    const back = backpropagate(b, [{ value: y, gradient: b.parameter("seed", [7, 6]) }], [{ parameter: "w" }]);
    expect(opsOf(b, back)).toEqual(["matmul-weight-gradient"]);
    for (const [name, other] of [
      ["residual", more],
      ["bias", b.parameter("vector", [4])],
    ] as const) {
      const dx = product(b, { x: b.parameter("dy", [7, 3]), w }, { transposed: true, firstRow: 2, rowCount: 3 });
      const sum = b.op(elementwise, { a: dx, b: other }, { operation: "add" }).y as Value;
      const fused = optimize(b.finish({ sum }));
      expect(fused.nodes.filter(({ kind }) => kind === "op").map(({ inputs }) => Object.keys(inputs))).toEqual([
        ["x", "w", name],
      ]);
    }
  });
});
