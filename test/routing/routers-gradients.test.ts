/** @file How every router's λ reaches its trained vector: on the device, against central differences of Σ g λ(s) in float64. */

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { LeafGradient } from "../../src/graph/differentiate.ts";
import { evaluate } from "../../src/graph/evaluate.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { optimize } from "../../src/graph/passes/optimize.ts";
import type { Value } from "../../src/graph/value.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { normal } from "../../src/random.ts";
import type { KeyRouting, Router, RouterSite, SoftTopKOptions } from "../../src/routing/router.ts";
import { routers } from "../../src/routing/routers/index.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { exactTopK, softTopK } from "../model/coda-float64.ts";

const WIDTH = 24;
/** A row alone, k = n, odd lengths. */
const LENGTHS = [17, 1, 9, 30];
const SELECTED = [6, 1, 9, 7];
const EPSILON = 0.5;
/** Scores carry 3e-6 of rounding; the slopes of λ are below 1 / ε² = 4, gradients below 4, sums over 30 rows. */
const TOLERANCE = 5e-4;
const STEP = 1e-5;

const ROWS = LENGTHS.reduce((a, b) => a + b, 0);
const x = normal(1, ROWS * WIDTH);
const w = normal(2, WIDTH, 1 / Math.sqrt(WIDTH));
const g = normal(3, ROWS);
const offsets = (lengths: readonly number[]): Uint32Array =>
  Uint32Array.from([0, ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b, 0))]);

/** λ of the rows of one segment from their scores. */
type Weigh = (scores: number[], k: number) => number[];

const sigmoid: Weigh = (scores) => scores.map((s) => 1 / (1 + Math.exp(-s)));
const soft =
  (mode: "paper" | "exact"): Weigh =>
  (scores, k) =>
    mode === "exact"
      ? exactTopK(scores, k, EPSILON)
      : softTopK(scores, k, { epsilon: EPSILON, iterations: 20, start: 4, decay: 0.7 });

/** ∂ Σ g λ / ∂s of every row, by central differences. */
function differences(weigh: Weigh): number[] {
  const scores = Array.from({ length: ROWS }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < WIDTH; i += 1) sum += (x[row * WIDTH + i] as number) * (w[i] as number);
    return sum;
  });
  let first = 0;
  return LENGTHS.flatMap((length, segment) => {
    const from = first;
    first += length;
    const own = scores.slice(from, first);
    const loss = (at: number, step: number): number => {
      const moved = own.map((score, i) => (i === at ? score + step : score));
      return weigh(moved, SELECTED[segment] as number).reduce(
        (sum, weight, i) => sum + weight * (g[from + i] as number),
        0,
      );
    };
    return own.map((_, at) => (loss(at, STEP) - loss(at, -STEP)) / (2 * STEP));
  });
}

/** ∂L/∂w = Σ ∂L/∂s x over all rows. */
function vectorGradient(ds: readonly number[]): number[] {
  return Array.from({ length: WIDTH }, (_, i) =>
    ds.reduce((sum, value, row) => sum + value * (x[row * WIDTH + i] as number), 0),
  );
}

/** A router, or the one of its keys. */
type Scoring = Pick<Router | KeyRouting, "score">;

/** ∂L/∂w of L = Σ g λ, as graph values: one part, or none where nothing depends on a vector. */
function partsOf(b: GraphBuilder, router: Scoring, softTopKMode: "paper" | "exact"): readonly LeafGradient[] {
  const rows = runtimeDim("rows");
  const table = (name: string): Value => b.input(name, [runtimeDim("offsets")], "u32");
  const options: SoftTopKOptions = {
    softTopK: softTopKMode,
    epsilon: EPSILON,
    iterations: 20,
    epsilonStart: 4,
    epsilonDecay: 0.7,
  };
  const site: RouterSite = {
    b,
    x: b.input("x", [rows, WIDTH]),
    layer: 0,
    segments: table("segments"),
    selectedSegments: table("selected"),
    options,
    vector: () => b.parameter("w", [WIDTH]),
    keys: () => b.input("keys", [runtimeDim("sequences")], "u32"),
  };
  const { weights } = router.score(site);
  const seed = { value: weights, gradient: b.input("g", [rows]) };
  return backpropagate(b, [seed], [{ parameter: "w" }]).get("w") ?? [];
}

/** ∂L/∂w on the device. */
async function onDevice(router: Scoring, mode: "paper" | "exact"): Promise<Float32Array> {
  const gpu = await sharedGpu();
  const b = new GraphBuilder({ differentiable: true });
  const parts = partsOf(b, router, mode);
  expect(parts.map(({ at }) => at)).toEqual([0]);
  const dw = (parts[0] as LeafGradient).value;
  const inputs = { x, g, segments: offsets(LENGTHS), selected: offsets(SELECTED) };
  const parameters = new Parameters(gpu);
  parameters.set("w", { shape: [WIDTH], element: "f32" }, w);
  const sizes = { rows: ROWS, offsets: LENGTHS.length + 1 };
  try {
    const outputs = await evaluate(gpu, optimize(b.finish({ dw })), inputs, sizes, { parameters });
    return outputs.dw?.data as Float32Array;
  } finally {
    parameters.dispose();
  }
}

describe.each(["paper", "exact"] as const)("with soft top-k %s", (mode) => {
  const separate = routers.separate();
  test.each<[string, Scoring, Weigh]>([
    ["learned", routers.learned(), soft(mode)],
    ["sigmoid", routers.sigmoid(), sigmoid],
    // As if the weights of soft top-k had been there.
    ["straight-through", routers.straightThrough(), soft(mode)],
    ["mixture-of-depths", routers.mixtureOfDepths(), (scores) => scores],
    ["first-k", routers.firstK(), soft(mode)],
    ["threshold", routers.threshold({ threshold: 0.3 }), sigmoid],
    ["separate, queries", separate, soft(mode)],
    ["separate, keys", separate.keys as KeyRouting, soft(mode)],
  ])("%s", async (_, router, weigh) => {
    const expected = vectorGradient(differences(weigh));
    const found = await onDevice(router, mode);
    expect(found).toHaveLength(WIDTH);
    const scale = Math.max(...expected.map(Math.abs));
    expect(scale).toBeGreaterThan(0.1);
    expected.forEach((value, i) =>
      expect(Math.abs((found[i] as number) - value), `element ${i}`).toBeLessThan(TOLERANCE * scale),
    );
  });
});

test.each(["truncation", "strided", "random", "norm"] as const)(
  "%s depends on no vector: there is no gradient",
  (name) => {
    expect(partsOf(new GraphBuilder({ differentiable: true }), routers[name](), "paper")).toEqual([]);
  },
);

test("an oracle depends on no vector", () => {
  const oracle = routers.oracle({ indices: [] });
  expect(partsOf(new GraphBuilder({ differentiable: true }), oracle, "paper")).toEqual([]);
});
