/** @file The gradient rule of every router, run on the device, against central differences of Σ g λ(s) in float64. */

import { describe, expect, test } from "vitest";
import { evaluate } from "../../src/graph/evaluate.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
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

/** ∂L/∂scores of a router, or of its keys, on the device. */
async function onDevice(
  router: Pick<Router | KeyRouting, "score" | "gradient">,
  softTopKMode: "paper" | "exact",
): Promise<Float32Array> {
  const b = new GraphBuilder();
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
    vector: () => b.input("w", [WIDTH]),
    keys: () => b.input("keys", [runtimeDim("sequences")], "u32"),
  };
  const gradient = router.gradient as NonNullable<Router["gradient"]>;
  const ds = gradient(site, router.score(site), b.input("g", [rows]));
  const inputs = { x, w, g, segments: offsets(LENGTHS), selected: offsets(SELECTED) };
  const { data } = (
    await evaluate(await sharedGpu(), b.finish({ ds }), inputs, { rows: ROWS, offsets: LENGTHS.length + 1 })
  ).ds as {
    data: Float32Array;
  };
  return data;
}

describe.each(["paper", "exact"] as const)("with soft top-k %s", (mode) => {
  const separate = routers.separate();
  test.each<[string, Pick<Router | KeyRouting, "score" | "gradient">, Weigh]>([
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
    const expected = differences(weigh);
    const found = await onDevice(router, mode);
    expect(found).toHaveLength(ROWS);
    const scale = Math.max(...expected.map(Math.abs));
    expect(scale).toBeGreaterThan(0.1);
    expected.forEach((value, row) =>
      expect(Math.abs((found[row] as number) - value), `row ${row}`).toBeLessThan(TOLERANCE * scale),
    );
  });
});

test("what depends on no score has no gradient", () => {
  const fixed = [
    routers.truncation(),
    routers.strided(),
    routers.random(),
    routers.norm(),
    routers.oracle({ indices: [] }),
  ];
  for (const { gradient } of fixed) expect(gradient).toBeUndefined();
  expect(routers.separate({ weighKeys: false }).keys?.gradient).toBeUndefined();
});
