/** @file Lengths that the device counts: plans against float64, what is dispatched, and what is read back. */

import { describe, expect, test } from "vitest";
import { toleranceFor } from "../../src/cases/case.ts";
import { explain } from "../../src/graph/explain.ts";
import { GRID_STEPS, followCounts, rowsPerStep, tabulateGrids } from "../../src/graph/indirect.ts";
import { schedule } from "../../src/graph/schedule.ts";
import type { Graph, Value } from "../../src/graph/value.ts";
import { attention } from "../../src/ops/attention.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { layerNorm } from "../../src/ops/layer-norm.ts";
import { matmul } from "../../src/ops/matmul.ts";
import { foldGrid, runtimeDim } from "../../src/ops/op.ts";
import type { Launch, Op } from "../../src/ops/op.ts";
import { rmsNorm } from "../../src/ops/rms-norm.ts";
import { rowDot } from "../../src/ops/row-dot.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { CountedSketch, POISON, PoisonedPlan, errorOf, feeds } from "./counted-graph.ts";
import type { Batch } from "./counted-graph.ts";
import { ROWS } from "./fixtures.ts";

const WIDTH = 8;

const BATCHES: Readonly<Record<string, Batch>> = {
  "one sequence": { lengths: [70], room: [70] },
  ragged: { lengths: [1, 33, 0, 65, 3, 130], room: [1, 40, 2, 20, 0, 64] },
  "room for all": { lengths: [5, 0, 64, 17], room: [5, 0, 64, 17] },
  "more room than rows": { lengths: [3, 20], room: [30, 50] },
  "no rows": { lengths: [0, 0], room: [0, 0] },
  "no room": { lengths: [9, 4], room: [0, 0] },
};

/** Above all scores, about half of them, few, none. */
const THRESHOLDS = [-1e9, 0, 1.5, 1e9];

/** y = base + scatter(gather(x) · W), each op by itself. */
function plainGraph(threshold: number): Graph {
  const b = new CountedSketch();
  const x = b.input("x", [ROWS, WIDTH]);
  const { rows, positions, selected_segments: offsets, counted, invalid } = b.above(threshold);
  const taken = b.take(x, rows);
  const product = b.mm(taken, "w", WIDTH);
  const y = b.put(x, product, rows, b.input("weight", [ROWS]));
  const halves = b.reshape(taken, [runtimeDim("picked", 2), WIDTH / 2]);
  return b.finish({ y, product, taken, halves, rows, positions, offsets, counted, invalid });
}

/** The fused forms: gathers and scatters inside matmul and both norms. */
function fusedGraph(threshold: number): Graph {
  const b = new CountedSketch();
  const x = b.input("x", [ROWS, WIDTH]);
  const weight = b.input("weight", [ROWS]);
  const { rows } = b.above(threshold);
  const [gamma, beta] = [b.input("gamma", [WIDTH]), b.input("beta", [WIDTH])];
  const w = b.input("w", [WIDTH, WIDTH]);
  const product = b.op(matmul, { x, w, gather: rows }, { activation: "relu" }).y as Value;
  const norm = b.op(
    layerNorm,
    { x: product, residual: x, gamma, beta, gather: rows },
    { eps: 1e-3, gatherOf: "residual" },
  );
  const rms = b.op(rmsNorm, { x, residual: norm.y, gamma, gather: rows }, { eps: 1e-3 }).y as Value;
  const a = b.op(matmul, { x: rms, w, scatter: rows, weight, base: x }, {}).y as Value;
  const scattered = { scatter: rows, weight, base: a, origin: x };
  const c = b.op(layerNorm, { x: rms, gamma, beta, ...scattered }, { eps: 1e-3 }).y as Value;
  const y = b.op(rmsNorm, { x: rms, gamma, scatter: rows, base: c }, { eps: 1e-3 }).y as Value;
  return b.finish({ y, rms });
}

/** Attention of selected rows to themselves and to all rows before them, over offsets that the device has made. */
function attentionGraph(threshold: number): Graph {
  const b = new CountedSketch();
  const x = b.input("x", [ROWS, 3 * WIDTH]);
  const { rows, positions, selected_segments: offsets } = b.above(threshold);
  const q = b.take(x, rows);
  const heads = { heads: 2, headWidth: WIDTH / 2, scale: 0.5, kAt: WIDTH, vAt: 2 * WIDTH };
  const own = b.op(attention, { q, kv: q, q_segments: offsets, kv_segments: offsets }, heads).y as Value;
  const all = b.op(
    attention,
    { q, kv: x, q_segments: offsets, kv_segments: b.segments, positions },
    { ...heads, causal: true },
  ).y as Value;
  return b.finish({ y: b.put(b.input("base", [ROWS, WIDTH]), b.ew("add", own, all), rows), own, all });
}

const GRAPHS = { plain: plainGraph, fused: fusedGraph, attention: attentionGraph };

describe("against float64", () => {
  for (const [kind, build] of Object.entries(GRAPHS)) {
    test.each(THRESHOLDS)(`${kind}, scores above %d`, async (threshold) => {
      const graph = build(threshold);
      const largest = feeds(graph, BATCHES.ragged as Batch).sizes;
      const capacities = { rows: 300, offsets: 8, picked: 200 };
      expect(largest.rows).toBeLessThanOrEqual(capacities.rows);
      const planned = await PoisonedPlan.create(graph, capacities);
      for (const [name, batch] of Object.entries(BATCHES)) {
        const run = feeds(graph, batch);
        // A norm of a norm of a product: the errors of three reductions.
        expect(errorOf(graph, run, await planned.run(run)), name).toBeLessThan(3 * toleranceFor(WIDTH));
      }
      await planned.dispose();
    });
  }

  test("two selections in one plan, one of what the other has left", async () => {
    const b = new CountedSketch();
    const x = b.input("x", [ROWS, WIDTH]);
    const first = b.above(0.2, "picked");
    const second = b.above(-0.4, "others", "more scores");
    const once = b.put(x, b.mm(b.take(x, first.rows), "w", WIDTH), first.rows);
    const taken = b.take(once, second.rows);
    const y = b.put(once, b.mm(taken, "w2", WIDTH), second.rows);
    const graph = b.finish({ y, taken, first: first.rows, second: second.rows });
    const planned = await PoisonedPlan.create(graph, { rows: 300, offsets: 8, picked: 200, others: 200 });
    for (const batch of Object.values(BATCHES)) {
      const run = feeds(graph, batch, ["picked", "others"]);
      expect(errorOf(graph, run, await planned.run(run))).toBeLessThan(2 * toleranceFor(WIDTH));
    }
    expect(
      planned.plan.steps.flatMap(({ launches }) => launches).filter(({ sets }) => sets !== undefined),
    ).toHaveLength(2);
    await planned.dispose();
  });

  test("a grid that the full size folds into two dimensions", async () => {
    const b = new CountedSketch();
    const x = b.input("x", [ROWS, 4]);
    const { rows, counted } = b.above(-1.4);
    const dots = b.op(rowDot, { x: b.take(x, rows), w: b.input("w", [4]) }, {}).y as Value;
    const graph = b.finish({ dots, counted });
    const run = feeds(graph, { lengths: [40_000, 34_000], room: [40_000, 34_000] });
    // One row per workgroup: 74,000 workgroups, of which about 68,000 are needed.
    const planned = await PoisonedPlan.create(graph, run.sizes, (_, offered) =>
      offered.includes("workgroup") ? "workgroup" : (offered[0] as string),
    );
    const result = await planned.run(run);
    expect(result.outputs.counted?.data[0]).toBeGreaterThan(65_535);
    expect(errorOf(graph, run, result)).toBeLessThan(toleranceFor(4));
    await planned.dispose();
  });
});

describe("what is dispatched", () => {
  test("one launch more, which sets the grids; the launches before the count and those of all rows stay direct", async () => {
    const graph = plainGraph(0);
    const planned = await PoisonedPlan.create(graph, { rows: 64, offsets: 3, picked: 64 });
    const launches = planned.plan.steps.flatMap((step) => step.launches);
    expect(
      launches.map(({ launch, follows }) => `${launch.kernel.split(".")[0]}${follows === undefined ? "" : " *"}`),
    ).toEqual([
      "threshold-rows",
      "threshold-rows",
      "threshold-rows",
      "indirect-grids",
      "gather-rows *",
      "matmul *",
      "scatter-add-rows *",
    ]);
    const { steps, memory } = planned.plan;
    expect(explain(steps, memory, { rows: 64, offsets: 3, picked: 64 }).launches).toBe(7);
    await planned.dispose();
  });

  test("rows past the count and a step stay as they were; those between read as rows of zeros", async () => {
    const b = new CountedSketch();
    const { rows } = b.above(0.6);
    const graph = b.finish({ taken: b.take(b.input("x", [ROWS, WIDTH]), rows), rows });
    const run = feeds(graph, { lengths: [300, 212], room: [300, 212] });
    const planned = await PoisonedPlan.create(graph, run.sizes);
    const gpu = await sharedGpu();
    const bytes = 4 * WIDTH * 512;
    const buffer = gpu.createBuffer({ label: "kept", size: bytes, usage: 0x04 | 0x08 });
    const { outputs } = await planned.run(run, { into: { taken: { buffer, offset: 0 } } });
    const [kept] = await gpu.read([{ buffer, offset: 0, size: bytes }]);
    gpu.destroyBuffer(buffer);
    const words = new Uint32Array(kept as ArrayBuffer);
    const count = outputs.rows?.shape[0] as number;
    const dispatched = Math.ceil(count / rowsPerStep(512)) * rowsPerStep(512);
    expect(count % rowsPerStep(512), "a count between two steps").toBeGreaterThan(0);
    expect(dispatched).toBeLessThan(count + 512 / GRID_STEPS);
    const rowAt = (row: number): number[] => [...words.subarray(row * WIDTH, (row + 1) * WIDTH)];
    for (let row = 0; row < 512; row += 1) {
      if (row >= dispatched) expect(rowAt(row), `row ${row}`).toEqual(Array(WIDTH).fill(POISON));
      else if (row >= count) expect(rowAt(row), `row ${row}`).toEqual(Array(WIDTH).fill(0));
      else expect(rowAt(row)).not.toContain(POISON);
    }
    await planned.dispose();
  });

  test("what is left of the selection points nowhere, so that gathers read zeros and scatters skip it", async () => {
    const b = new CountedSketch();
    const { rows, positions, counted } = b.above(0.6);
    const graph = b.finish({ rows, positions, counted });
    const gpu = await sharedGpu();
    const buffer = gpu.createBuffer({ label: "kept", size: 4096, usage: 0x04 | 0x08 });
    for (const batch of [BATCHES.ragged as Batch, BATCHES["more room than rows"] as Batch]) {
      const run = feeds(graph, batch);
      const most = run.sizes.picked as number;
      const planned = await PoisonedPlan.create(graph, run.sizes);
      const { outputs } = await planned.run(run, {
        into: { rows: { buffer, offset: 0 }, positions: { buffer, offset: 2048 } },
      });
      const count = outputs.counted?.data[0] as number;
      expect(count).toBeLessThan(most);
      for (const offset of [0, 2048]) {
        const [kept] = await gpu.read([{ buffer, offset, size: 4 * most }]);
        const words = [...new Uint32Array(kept as ArrayBuffer)];
        expect(words.slice(count)).toEqual(Array(most - count).fill(0xffffffff));
        expect(Math.max(0, ...words.slice(0, count))).toBeLessThan(run.sizes.rows as number);
      }
      await planned.dispose();
    }
    gpu.destroyBuffer(buffer);
  });

  test("a profiled run times every launch and gives the same bits; a warm run creates nothing", async () => {
    const gpu = await sharedGpu();
    const graph = plainGraph(0);
    const run = feeds(graph, BATCHES.ragged as Batch);
    const planned = await PoisonedPlan.create(graph, { ...run.sizes, rows: 300 });
    const first = await planned.run(run);
    const profiled = await planned.run(run, { profile: true });
    if (gpu.info.clock !== "wall") expect(profiled.launchMilliseconds).toHaveLength(7);
    expect(profiled.outputs).toEqual(first.outputs);
    expect(planned.plan.memory.copies.length, "a copy of the base between two passes").toBe(1);
    const before = { ...gpu.counters, ...gpu.memory };
    for (const batch of Object.values(BATCHES)) {
      const other = feeds(graph, batch);
      if (planned.plan.fits(other.sizes)) await planned.run(other);
    }
    expect((await planned.run(run)).outputs).toEqual(first.outputs);
    const { submits: _, ...created } = { ...gpu.counters, ...gpu.memory };
    expect(before).toMatchObject(created);
    await planned.dispose();
  });

  test("dispose gives the tables and grids back", async () => {
    const gpu = await sharedGpu();
    const planned = await PoisonedPlan.create(plainGraph(0), { rows: 64, offsets: 3, picked: 64 });
    await planned.run(feeds(plainGraph(0), { lengths: [9, 9], room: [4, 4] }));
    const during = gpu.memory.buffers;
    await planned.dispose();
    expect(gpu.memory.buffers).toBeLessThan(during - 2);
  });
});

describe("the plan of grids", () => {
  test("a table has a grid for every step of rows, also where there are fewer rows than steps", () => {
    const launch: Launch = { kernel: "", uniform: {}, grid: (size) => foldGrid(size(runtimeDim("k")) + 2) };
    const widths = (most: number): number[] => tabulateGrids(launch, "k", { k: most }).map(([x]) => x);
    expect(widths(0)).toEqual(Array(GRID_STEPS + 1).fill(2));
    expect(widths(3)).toEqual([2, 3, 4, ...Array(GRID_STEPS - 2).fill(5)]);
    expect(widths(64 * 5)).toEqual(Array.from({ length: GRID_STEPS + 1 }, (_, i) => 5 * i + 2));
    expect(widths(65).slice(0, 4)).toEqual([2, 4, 6, 8]);
    expect(widths(65).at(-1)).toBe(67);
  });

  test("a full grid in two dimensions keeps its width at every step", () => {
    const launch: Launch = { kernel: "", uniform: {}, grid: (size) => foldGrid(size(runtimeDim("k"))) };
    const most = 150_000;
    const [width] = foldGrid(most);
    tabulateGrids(launch, "k", { k: most }).forEach(([x, y, z], i) => {
      expect([x, z]).toEqual([width, 1]);
      expect(x * y).toBeGreaterThanOrEqual(Math.min(i * rowsPerStep(most), most));
      expect(y).toBeLessThanOrEqual(foldGrid(most)[1]);
    });
  });

  test("a grid of two counted lengths follows the later one, with the other at its most", async () => {
    const both: Op = {
      ...gatherRows,
      launch: (...given) =>
        gatherRows.launch(...given).map((launch) => ({
          ...launch,
          grid: (size) => foldGrid(size(runtimeDim("picked")) * 100 + size(runtimeDim("others"))),
        })),
    };
    const b = new CountedSketch();
    const x = b.take(b.input("x", [ROWS, WIDTH]), b.above(0, "picked").rows);
    const { y } = b.op(both, { x, rows: b.above(1, "others", "more scores").rows }, {});
    const capacities = { rows: 9, offsets: 2, picked: 7, others: 64 };
    const steps = followCounts(
      schedule(b.finish({ y: y as Value }), (await sharedGpu()).traits, capacities),
      capacities,
    );
    const last = steps.at(-1)?.launches[0];
    expect(last?.follows).toBe("others");
    expect(tabulateGrids((last as NonNullable<typeof last>).launch, "others", capacities)[3]).toEqual([703, 1, 1]);
  });

  test("two selections under one symbol are refused", async () => {
    const b = new CountedSketch();
    const x = b.input("x", [ROWS, WIDTH]);
    const graph = b.finish({ y: b.take(x, b.above(0).rows), z: b.take(x, b.above(1).rows) });
    await expect(PoisonedPlan.create(graph, { rows: 9, offsets: 2, picked: 9 })).rejects.toMatchObject({
      code: "SHAPE",
      message: expect.stringContaining("picked is counted twice") as string,
    });
  });
});
