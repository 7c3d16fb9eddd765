/** @file A point on a tiny model: its numbers against those of runs made by hand. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { loadFolder } from "../../src/model/load.ts";
import { ScoreFault } from "../../src/model/router-faults.ts";
import type { Model } from "../../src/model/model.ts";
import type { RunOutput, Tensor } from "../../src/model/types.ts";
import type { SweepBatch } from "../../src/sweep/batch.ts";
import { readSweepConfig } from "../../src/sweep/config.ts";
import { oracleOf, runDense } from "../../src/sweep/dense.ts";
import { evaluate } from "../../src/sweep/evaluate.ts";
import type { EvaluateOptions, ReadyBatch } from "../../src/sweep/evaluate.ts";
import { gridOf } from "../../src/sweep/grid.ts";
import { metricOf } from "../../src/sweep/metric.ts";
import { reactionAtoms } from "../../src/sweep/reaction.ts";
import { routerAxes, routerNames } from "../../src/sweep/routers.ts";
import { densePoint } from "../../src/sweep/settings.ts";
import type { PointSettings } from "../../src/sweep/settings.ts";
import { flopRatioOf, timePoint } from "../../src/sweep/timing.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";

const { signal } = new AbortController();
const none = metricOf({ metric: "none" });
const plain: EvaluateOptions = { metric: none, signal };
const LAYERS = 3;

/** Ids of a sequence that no other has. */
const ids = (length: number, start: number): number[] => Array.from({ length }, (_, i) => (start + 7 * i) % 30);

function batchOf(lengths: readonly number[], labels: readonly number[] | null = null): SweepBatch {
  const rows = lengths.map((length, index) => ids(length, index + 1));
  return { input: { ids: rows }, rows: lengths, labels, atoms: null };
}

function point(axes: Readonly<Record<string, unknown>>): PointSettings {
  const value = { model: { folder: "m" }, data: { kind: "lines", files: { lines: "x" } }, axes };
  return gridOf(readSweepConfig(value, "x").axes, LAYERS, { metric: "none" })[1]?.settings ?? densePoint;
}

describe("a point", () => {
  let model: Model;
  let ready: ReadyBatch[];
  let outputs: RunOutput[];

  beforeAll(async () => {
    model = await loadFolder(await sharedGpu(), tinyModel("bert", { num_hidden_layers: LAYERS }).folder);
    ready = [];
    outputs = [];
    for (const batch of [batchOf([9, 1, 5]), batchOf([7])]) {
      const { dense, output } = await runDense(model, batch, none, { changes: true, signal });
      ready.push({ batch, dense });
      outputs.push(output);
    }
  });
  afterAll(async () => model?.dispose());

  test("the dense one is no distance from itself", async () => {
    const { metrics, ...rest } = await evaluate(model, densePoint, ready, plain);
    expect(metrics).toEqual({ "hidden-error": 0 });
    expect(rest).toEqual({ sequences: 4, tokens: 22, heavyShare: 1, trained: false });
  });

  test("a routed one is as far as its hidden states say, and counts its heavy rows", async () => {
    const settings = point({ router: ["truncation"], reduction: [3], layers: [[0, 2]] });
    const { metrics, heavyShare, trained } = await evaluate(model, settings, ready, plain);
    const { coda } = await import("../../src/routing/coda.ts");
    model.setRouting(coda({ router: "truncation", reduction: [3, null, 3] }));
    let [difference, size] = [0, 0];
    for (const { batch, dense } of ready) {
      const { hidden } = await model.run(batch.input);
      (hidden as Tensor).data.forEach((value, at) => {
        difference += (value - (dense.hidden[at] as number)) ** 2;
        size += (dense.hidden[at] as number) ** 2;
      });
    }
    expect(metrics["hidden-error"]).toBeCloseTo(Math.sqrt(difference / size), 12);
    expect(metrics["hidden-error"]).toBeGreaterThan(1e-3);
    // ceil of 9, 1, 5 and 7 over 3 in two layers, all 22 rows in the third.
    expect(heavyShare).toBeCloseTo((2 * (3 + 1 + 2 + 3) + 22) / (3 * 22), 12);
    expect(trained).toBe(false);
  });

  test("one whose scores or hidden states overflow ends there, without measures", async () => {
    const settings = point({ router: ["mixture-of-depths"], reduction: [2] });
    const fault = "layer 9: the router's score of row 794 (sequence 8, token 2) is not a number";
    const broken = (run: () => Promise<unknown>): Model =>
      ({ host: model.host, setRouting: () => undefined, run }) as unknown as Model;
    const refusing = broken(async () => {
      const cause = new ScoreFault({ layer: 9, sequence: 8, token: 2 });
      throw new EngineError("BAD_INPUT", fault, { where: "layers.9", cause });
    });
    const found = await evaluate(refusing, settings, ready, plain);
    expect(found).toMatchObject({ diverged: fault, metrics: {} });
    const hidden = { data: new Float32Array(ready[0]?.dense.hidden.length ?? 0).fill(Infinity), shape: [] };
    const overflowing = broken(async () => ({ hidden, routing: null }));
    expect((await evaluate(overflowing, settings, ready, plain)).diverged).toMatch(/hidden states are not finite/);
    const other = new EngineError("BAD_INPUT", "something else");
    const failing = broken(async () => Promise.reject(other));
    await expect(evaluate(failing, settings, ready, plain)).rejects.toBe(other);
  });

  test("an oracle takes the rows that a layer changes most", async () => {
    const { changes } = ready[0]?.dense ?? {};
    const input = outputs[0]?.captures["layers.0.output"] as Tensor;
    const output = outputs[0]?.captures["layers.1.output"] as Tensor;
    const width = model.host.shape.width;
    const norms = Array.from({ length: 15 }, (_, row) => {
      const range = Array.from({ length: width }, (__, i) => row * width + i);
      return Math.hypot(...range.map((at) => (output.data[at] as number) - (input.data[at] as number)));
    });
    norms.forEach((norm, row) => expect(changes?.[1]?.[row]).toBeCloseTo(norm, 4));
    const { batch, dense } = ready[0] as ReadyBatch;
    const order = (from: number, to: number, k: number): number[] =>
      Array.from({ length: to - from }, (_, row) => row)
        .sort((a, b) => (norms[from + b] as number) - (norms[from + a] as number))
        .slice(0, k)
        .sort((a, b) => a - b);
    const choose = oracleOf(batch, dense);
    expect(choose(0, 1, 4)).toEqual(order(0, 9, 3));
    expect(choose(1, 1, 4)).toEqual([0]);
    expect(choose(2, 1, 2)).toEqual(order(10, 15, 3));
  });

  test.each(routerNames)("%s at r = 1 is the dense model if the grid says so, and only then", async (router) => {
    for (const attention of ["k-to-k", "k-to-all"]) {
      const settings = point({ router: [router], reduction: [1], attention: [attention] });
      const { metrics } = await evaluate(model, settings, ready, plain);
      if (routerAxes[router].dense) expect(metrics["hidden-error"]).toBeLessThan(1e-6);
      else expect(metrics["hidden-error"]).toBeGreaterThan(1e-3);
    }
  });

  test("an oracle's rows are those that run", async () => {
    const settings = point({ router: ["oracle"], reduction: [2] });
    const { heavyShare, metrics } = await evaluate(model, settings, ready, plain);
    expect(heavyShare).toBeCloseTo((5 + 1 + 3 + 4) / 22, 12);
    expect(metrics["hidden-error"]).toBeGreaterThan(1e-3);
  });

  test("ties of an oracle go to the lower row", () => {
    const batch = batchOf([4]);
    const dense = { hidden: new Float32Array(0), answers: new Int32Array(0), changes: [Float32Array.of(1, 2, 1, 2)] };
    expect(oracleOf(batch, dense)(0, 0, 4 / 3)).toEqual([0, 1, 3]);
  });

  test("is timed against the dense model on the same batches, and costs what its plan says", async () => {
    const settings = point({ router: ["learned"], reduction: [2] });
    const timing = await timePoint(model, settings, ready, { ...plain, count: 2 });
    expect(timing).toMatchObject({ batches: 2, tokens: 22 });
    expect(timing?.wall).toBeGreaterThan(0);
    expect(timing?.dense.wall).toBeGreaterThan(0);
    expect(await timePoint(model, settings, ready, { ...plain, count: 0 })).toBeNull();
    const dense = await timePoint(model, densePoint, ready, { ...plain, count: 1 });
    expect(dense).toMatchObject({ speedUp: 1, tokens: 15 });
    expect(await flopRatioOf(model, densePoint, ready[0] as ReadyBatch, plain)).toBe(1);
    expect(await flopRatioOf(model, settings, ready[0] as ReadyBatch, plain)).toBeGreaterThan(1.2);
  });
});

describe("metrics", () => {
  const task = { metric: "mapping-agreement", layer: 1, head: 2, dense: [1], confidences: null } as const;
  let model: Model;

  beforeAll(async () => {
    model = await loadFolder(await sharedGpu(), tinyModel("bert", { num_hidden_layers: LAYERS }).folder);
  });
  afterAll(async () => model?.dispose());

  test("a mapping agrees with itself when nothing is routed, and is judged atom by atom", async () => {
    const metric = metricOf(task);
    const atoms = reactionAtoms(["[CLS]", "C", "N", "C", ">>", "C", "C", "O", "[SEP]"]);
    const batch: SweepBatch = { ...batchOf([9, 9]), atoms: [atoms, atoms] };
    const { dense } = await runDense(model, batch, metric, { changes: false, signal });
    expect(dense.answers).toHaveLength(6);
    // Carbon comes from token 1 or 3; there is no oxygen among the reactants.
    expect(
      [...dense.answers].every((place, index) => (index % 3 === 2 ? place === -1 : place === 1 || place === 3)),
    ).toBe(true);
    const options = { metric, signal };
    const { metrics } = await evaluate(model, densePoint, [{ batch, dense }], options);
    expect(metrics["mapping-agreement"]).toBe(1);
    // Swapping the two carbons in the dense answers leaves every judged atom wrong.
    const swapped = dense.answers.map((place) => (place === -1 ? -1 : 4 - place));
    const other = await evaluate(model, densePoint, [{ batch, dense: { ...dense, answers: swapped } }], options);
    expect(other.metrics["mapping-agreement"]).toBe(0);
  });

  test("a head that does not give one row per sequence is refused", () => {
    const metric = metricOf({ metric: "accuracy", head: "default" });
    const batch = batchOf([2, 3], [0, 1]);
    const tokens = { data: new Float32Array(10), shape: [5, 2], segments: Uint32Array.of(0, 2, 5) };
    const output = { heads: { default: tokens }, captures: {}, routing: null, timing: { gpu: null, wall: 0 } };
    expect(() => metric.answers(batch, output)).toThrow(/gives 5 rows for 2 sequences/);
  });

  test("accuracy counts labels and agreement, ties to the first class", () => {
    const metric = metricOf({ metric: "accuracy", head: "default" });
    const head = { data: Float32Array.of(1, 1, 0, 0, 2, 1), shape: [2, 3] };
    const output = { heads: { default: head }, captures: {}, routing: null, timing: { gpu: null, wall: 0 } };
    expect([...metric.answers(batchOf([2, 3], [0, 1]), output)]).toEqual([0, 1]);
    expect(metric.measures({ judged: 4, right: 3, labelled: 4, asDense: 2 })).toEqual({
      accuracy: 0.75,
      agreement: 0.5,
    });
  });
});
