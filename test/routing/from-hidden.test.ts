/**
 * @file Selection from hidden states: where the scores at k are further apart than 1e-5 · max(1, |s|), the rows that the device selects
 * are those of float64, whoever computes the score, a launch of its own or the norm before it.
 */

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { evaluate } from "../../src/graph/evaluate.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { optimize } from "../../src/graph/passes/optimize.ts";
import type { Graph, Value } from "../../src/graph/value.ts";
import { layerNorm } from "../../src/ops/layer-norm.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { rowDot } from "../../src/ops/row-dot.ts";
import { topK } from "../../src/ops/top-k.ts";
import { normal } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const GAP = 1e-5;
const EPSILON = 1e-5;
const REDUCTION = 3;

/** Hidden states, maybe their norm, scores, the k largest. */
function selecting(width: number, normed: boolean): Graph {
  const b = new GraphBuilder();
  const x = b.input("x", [runtimeDim("rows"), width]);
  const vector = (name: string): Value => b.input(name, [width]);
  const gamma = { x, gamma: vector("gamma"), beta: vector("beta") };
  const xn = normed ? (b.op(layerNorm, gamma, { eps: EPSILON }).y as Value) : x;
  const scores = b.op(rowDot, { x: xn, w: b.parameter("w", [width]) }, {}).y as Value;
  const table = (name: string): Value => b.input(name, [runtimeDim("offsets")], "u32");
  const inputs = { scores, segments: table("segments"), selected_segments: table("selected") };
  const { rows } = b.op(topK, inputs, { count: "count" }) as { rows: Value };
  // The norm is wanted as well, as a layer wants it, so that it is the norm that gives the score.
  return optimize(b.finish(normed ? { rows, xn } : { rows }));
}

/** s of every row, in float64. */
function scoresOf(
  x: Float32Array,
  vectors: Readonly<Record<"w" | "gamma" | "beta", Float32Array>>,
  normed: boolean,
): number[] {
  const width = vectors.w.length;
  return Array.from({ length: x.length / width }, (_, row) => {
    const values = Array.from(x.subarray(row * width, (row + 1) * width));
    const mean = values.reduce((sum, v) => sum + v, 0) / width;
    const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width;
    const { gamma, beta } = vectors;
    const read = (v: number, c: number): number =>
      normed ? ((v - mean) / Math.sqrt(variance + EPSILON)) * (gamma[c] as number) + (beta[c] as number) : v;
    return values.reduce((sum, v, c) => sum + read(v, c) * (vectors.w[c] as number), 0);
  });
}

function offsets(lengths: readonly number[]): Uint32Array {
  const table = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, s) => (table[s + 1] = (table[s] as number) + length));
  return table;
}

describe.each([
  { width: 768, lengths: [512, 128, 64, 33, 17, 5, 300, 97], scale: 1 },
  { width: 64, lengths: Array.from({ length: 60 }, (_, i) => 3 + i), scale: 1 },
  { width: 5, lengths: [1000, 2, 1, 999], scale: 1 },
  { width: 2048, lengths: [128, 64], scale: 1 },
  { width: 256, lengths: [200, 111, 40], scale: 0.01 },
])("width $width, scale $scale", ({ width, lengths, scale }) => {
  test.each([false, true])("rows of float64, normed: %s", async (normed) => {
    const rows = lengths.reduce((sum, n) => sum + n, 0);
    const x = normal(width, rows * width, scale);
    const vectors = {
      w: normal(width + 1, width, 1 / Math.sqrt(width)),
      gamma: normal(width + 2, width, 0.2, 1),
      beta: normal(width + 3, width, 0.1),
    };
    const counts = lengths.map((n) => Math.ceil(n / REDUCTION));
    const tables = { segments: offsets(lengths), selected: offsets(counts) };
    const sizes = { rows, offsets: lengths.length + 1, count: tables.selected.at(-1) as number };
    const gpu = await sharedGpu();
    const parameters = new Parameters(gpu);
    parameters.set("w", { shape: [width], element: "f32" }, vectors.w);
    const { gamma, beta } = vectors;
    const inputs = { x, ...(normed ? { gamma, beta } : {}), ...tables };
    const graph = selecting(width, normed);
    expect(graph.nodes.some(({ label }) => label === "row-dot")).toBe(!normed);
    const out = await evaluate(gpu, graph, inputs, sizes, { parameters });
    parameters.dispose();
    const found = Array.from(out.rows?.data ?? []);
    const scores = scoresOf(x, vectors, normed);
    let compared = 0;
    lengths.forEach((n, s) => {
      const start = tables.segments[s] as number;
      const k = counts[s] as number;
      const order = Array.from({ length: n }, (_, i) => start + i).sort(
        (a, b) => (scores[b] as number) - (scores[a] as number) || a - b,
      );
      const at = (rank: number): number => scores[order[rank] as number] as number;
      if (k < n && at(k - 1) - at(k) <= GAP * Math.max(1, Math.abs(at(k - 1)))) return;
      compared += 1;
      const expected = order.slice(0, k).sort((a, b) => a - b);
      expect(found.slice(tables.selected[s], tables.selected[s + 1])).toEqual(expected);
    });
    // Nearly every gap is wide enough, or this would show nothing.
    expect(compared).toBeGreaterThanOrEqual(Math.ceil(0.9 * lengths.length) - 1);
  });
});
