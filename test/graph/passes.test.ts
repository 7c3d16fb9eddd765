/** @file Passes: what they fuse, what they must leave alone, and that the function stays the same. */

import { describe, expect, test } from "vitest";
import { optimize } from "../../src/graph/passes/optimize.ts";
import type { Graph, Value } from "../../src/graph/value.ts";
import { activation } from "../../src/ops/activation.ts";
import { layerNormGradient } from "../../src/ops/layer-norm-gradient.ts";
import { rmsNormGradient } from "../../src/ops/rms-norm-gradient.ts";
import { rowDot } from "../../src/ops/row-dot.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { PICKED, ROWS, Sketch, errorAgainst } from "./fixtures.ts";

const SIZES = { rows: 13, picked: 5 };
/** Reductions of at most 16 terms, three roundings on top: 8·√16·2⁻²⁴ is 1.9e-6; norms divide by small deviations. */
const TOLERANCE = 5e-6;

const labels = (graph: Graph): string[] => graph.nodes.filter(({ kind }) => kind === "op").map(({ label }) => label);

async function same(b: Sketch, outputs: Record<string, Value>): Promise<Graph> {
  const original = b.finish(outputs);
  const fused = optimize(original);
  const { error } = await errorAgainst(await sharedGpu(), fused, original, SIZES);
  expect(error).toBeLessThan(TOLERANCE);
  return fused;
}

describe("fusion into matmul", () => {
  test("bias, activation, residual become one launch", async () => {
    const b = new Sketch();
    const x = b.input("x", [ROWS, 16]);
    const biased = b.ew("add", b.mm(x, "w", 8), b.input("bias", [8]));
    const active = b.op(activation, { x: biased }, { kind: "gelu" }).y as Value;
    const fused = await same(b, { y: b.ew("add", b.input("r", [ROWS, 8]), active) });
    expect(labels(fused)).toEqual(["matmul"]);
    expect(Object.keys(fused.nodes.at(-1)?.inputs ?? {}).sort()).toEqual(["bias", "residual", "w", "x"]);
  });

  test("an activation behind a residual stays: y = act(x·W + residual) is another function", async () => {
    const b = new Sketch();
    const sum = b.ew("add", b.mm(b.input("x", [ROWS, 16]), "w", 8), b.input("r", [ROWS, 8]));
    const fused = await same(b, { y: b.op(activation, { x: sum }, { kind: "relu" }).y as Value });
    expect(labels(fused)).toEqual(["matmul", "activation"]);
  });

  test("a bias behind an activation stays", async () => {
    const b = new Sketch();
    const active = b.op(activation, { x: b.mm(b.input("x", [ROWS, 16]), "w", 8) }, { kind: "relu" }).y as Value;
    expect(labels(await same(b, { y: b.ew("add", active, b.input("bias", [8])) }))).toEqual(["matmul", "elementwise"]);
  });

  test("a product that somebody else needs is not swallowed", async () => {
    const b = new Sketch();
    const product = b.mm(b.input("x", [ROWS, 16]), "w", 8);
    const y = b.op(activation, { x: product }, { kind: "relu" }).y as Value;
    expect(labels(await same(b, { y, product }))).toEqual(["matmul", "activation"]);
  });

  test("x·W + x·W is not a residual of itself", async () => {
    const b = new Sketch();
    const product = b.mm(b.input("x", [ROWS, 8]), "w", 8);
    expect(labels(await same(b, { y: b.ew("add", product, product) }))).toEqual(["matmul", "elementwise"]);
  });

  test("gathered rows are read and scattered rows written by the product itself", async () => {
    const b = new Sketch();
    const x = b.input("x", [ROWS, 16]);
    const rows = b.input("sel", [PICKED], "u32");
    const product = b.ew("add", b.mm(b.take(x, rows), "w", 16), b.input("bias", [16]));
    const base = b.op(activation, { x }, { kind: "tanh" }).y as Value;
    const fused = await same(b, { y: b.put(base, product, rows, b.input("weight", [ROWS])) });
    expect(labels(fused)).toEqual(["activation", "matmul"]);
  });
});

describe("fusion into norms", () => {
  test("the sum before a norm is formed while the row is read, gathered rows included", async () => {
    const b = new Sketch();
    const x = b.input("x", [ROWS, 16]);
    const rows = b.input("sel", [PICKED], "u32");
    const fused = await same(b, { y: b.norm(b.ew("add", b.mm(b.take(x, rows), "w", 16), b.take(x, rows))) });
    expect(labels(fused)).toEqual(["matmul", "layer-norm"]);
  });

  test("the end of a routed post-LN layer is one launch", async () => {
    const b = new Sketch();
    const x = b.input("x", [ROWS, 16]);
    const rows = b.input("sel", [PICKED], "u32");
    const h = b.input("h", [PICKED, 16]);
    const delta = b.ew("sub", b.norm(b.ew("add", h, b.input("f", [PICKED, 16]))), b.take(x, rows));
    const base = b.op(activation, { x }, { kind: "relu" }).y as Value;
    const fused = await same(b, { y: b.put(base, delta, rows, b.input("weight", [ROWS])) });
    expect(labels(fused)).toEqual(["activation", "layer-norm"]);
  });

  test("a norm whose rows somebody else needs keeps them", async () => {
    const b = new Sketch();
    const x = b.input("x", [ROWS, 16]);
    const rows = b.input("sel", [PICKED], "u32");
    const normed = b.norm(b.take(x, rows));
    const base = b.op(activation, { x }, { kind: "relu" }).y as Value;
    const y = b.put(base, b.ew("sub", normed, b.take(x, rows)), rows);
    const fused = await same(b, { y, normed });
    expect(labels(fused).sort()).toEqual([
      "activation",
      "elementwise",
      "gather-rows",
      "layer-norm",
      "scatter-add-rows",
    ]);
  });

  test("the router's score comes from the norm's launch, though others read the norm too", async () => {
    const b = new Sketch();
    const normed = b.norm(b.input("x", [ROWS, 16]));
    const score = b.op(rowDot, { x: normed, w: b.parameter("router", [16]) }, {}).y as Value;
    const fused = optimize(b.finish({ score, y: b.mm(normed, "w", 8) }));
    expect(labels(fused).sort()).toEqual(["layer-norm", "matmul"]);
    expect(fused.outputs.get("score")?.output).toBe("score");
  });
});

describe("fusion into the gradients of norms", () => {
  const gradient = (b: Sketch, op: typeof layerNormGradient, affine = false): Record<string, Value> => {
    const inputs = { x: b.input("x", [ROWS, 16]), gamma: b.input("gamma", [16]), dy: b.input("dy", [ROWS, 16]) };
    return b.op(op, inputs, affine ? { eps: 1e-5, affine } : { eps: 1e-5 });
  };

  test.each([layerNormGradient, rmsNormGradient])("$stem: a sum with another gradient is one launch", async (op) => {
    for (const turned of [false, true]) {
      const b = new Sketch();
      const [dx, other] = [gradient(b, op).dx as Value, b.input("other", [ROWS, 16])];
      const fused = await same(b, { y: turned ? b.ew("add", other, dx) : b.ew("add", dx, other) });
      expect(labels(fused)).toEqual([op.stem]);
    }
  });

  test("a third gradient is added to that sum", async () => {
    const b = new Sketch();
    const sum = b.ew("add", gradient(b, layerNormGradient).dx as Value, b.input("other", [ROWS, 16]));
    const fused = await same(b, { y: b.ew("add", sum, b.input("third", [ROWS, 16])) });
    expect(labels(fused)).toEqual(["layer-norm-gradient", "elementwise"]);
  });

  test("a gradient that somebody else needs, a row, and twice the same stay sums", async () => {
    const b = new Sketch();
    const dx = gradient(b, layerNormGradient).dx as Value;
    expect(labels(await same(b, { y: b.ew("add", dx, b.input("other", [ROWS, 16])), dx }))).toContain("elementwise");
    expect(labels(await same(b, { y: b.ew("add", dx, b.input("row", [16])) }))).toContain("elementwise");
    expect(labels(await same(b, { y: b.ew("add", dx, dx) }))).toContain("elementwise");
  });

  test("launches that give the row vectors' gradients too are not done twice", async () => {
    const b = new Sketch();
    const { dx, dgamma } = gradient(b, layerNormGradient, true);
    const fused = await same(b, { y: b.ew("add", dx as Value, b.input("other", [ROWS, 16])), dgamma: dgamma as Value });
    expect(labels(fused)).toEqual(["layer-norm-gradient", "elementwise"]);
  });
});
