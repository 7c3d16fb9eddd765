/** @file The loop over a trainer without a device: order, evaluation, early end, resuming at every step, faults. */

import { describe, expect, test } from "vitest";
import { Batches, cutParts, largestPart, orderOf } from "../../src/train/batches.ts";
import { droppedIn, runLoop } from "../../src/train/loop.ts";
import type { MetricsLine } from "../../src/train/metrics.ts";
import { lineText, linesUpTo } from "../../src/train/metrics.ts";
import { FakeTrainer, fakeWork, lengths, stepLine } from "./loop-fake.ts";

const untimed = (lines: readonly MetricsLine[]): unknown[] => lines.map(({ milliseconds: _, ...rest }) => rest);

describe("batches", () => {
  test("an epoch holds every example once, in an order that follows from seed and epoch", () => {
    const order = Array.from(orderOf(50, 1, 0));
    expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(Array.from(orderOf(50, 1, 0))).toEqual(order);
    expect(Array.from(orderOf(50, 1, 1))).not.toEqual(order);
    expect(Array.from(orderOf(50, 2, 0))).not.toEqual(order);
  });

  test("every order of three examples is as likely", () => {
    const seen = new Map<string, number>();
    for (let epoch = 0; epoch < 6000; epoch += 1) {
      const order = orderOf(3, 9, epoch).join();
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    // Standard deviation of a count of 1000 in 6000: 29.
    for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  test("parts keep both bounds; a sequence over the tokens is a part of its own", () => {
    expect(cutParts([0, 1, 2, 3, 4], [4, 4, 4, 30, 1], { sequences: 2, tokens: 10 })).toEqual([[0, 1], [2], [3], [4]]);
    expect(cutParts([0, 1, 2], [4, 4, 4], { sequences: null, tokens: null })).toEqual([[0, 1, 2]]);
  });

  test("steps are counted epoch by epoch, and follow each other", () => {
    const batches = new Batches({ lengths, batch: { sequences: 3, tokens: 12, accumulate: 2 }, seed: 5 });
    const counted = batches.count({ epochs: 3 });
    let position = { epoch: 0, at: 0 };
    const seen: number[] = [];
    for (let step = 0; step < counted; step += 1) {
      seen.push(...batches.at(position).flat());
      position = batches.after(position);
    }
    expect(position).toEqual({ epoch: 3, at: 0 });
    expect(seen.toSorted((a, b) => a - b)).toEqual(lengths.flatMap((_, index) => [index, index, index]));
    expect(batches.count({ steps: 7 })).toBe(7);
  });

  test("the largest part holds each of the others", () => {
    const parts = [
      [3, 8],
      [0, 1, 2],
      [4, 5, 6],
    ];
    const rows = (part: readonly number[]): number => part.reduce((sum, one) => sum + (lengths[one] as number), 0);
    const largest = largestPart(parts, lengths);
    for (const part of parts) {
      expect(largest.length).toBeGreaterThanOrEqual(part.length);
      expect(rows(largest)).toBeGreaterThanOrEqual(rows(part));
    }
    expect(largest).toEqual([3, 8, 7]);
  });
});

describe("a loop", () => {
  test("writes a line a step and an evaluation, and checkpoints at its steps, at better evaluations and at the end", async () => {
    const { work, written } = fakeWork(new FakeTrainer());
    const end = await runLoop(work, null);
    expect(end).toMatchObject({ step: 20, ended: "steps" });
    const steps = written.lines.filter(({ kind }) => kind === "step").map(({ step }) => step);
    expect(steps).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    const evaluations = written.lines.filter(({ kind }) => kind === "evaluation").map(({ step }) => step);
    expect(evaluations).toEqual([4, 8, 12, 16, 20]);
    const better = written.lines.flatMap((line) => (line.kind === "evaluation" && line.best ? [line.step] : []));
    const expected = new Set([3, 6, 9, 12, 15, 18, 20, ...better]);
    expect(written.saved.map(({ state }) => state.step)).toEqual([...expected].sort((a, b) => a - b));
  });

  test("that goes on from any checkpoint ends with the same bits and writes the same lines", async () => {
    const trainer = new FakeTrainer();
    const { work, written } = fakeWork(trainer, { checkpointEvery: 1 });
    await runLoop(work, null);
    const last = await trainer.save();
    expect(written.saved).toHaveLength(20);
    for (const { state, trainer: kept } of written.saved) {
      const again = new FakeTrainer();
      await again.restore(kept);
      const resumed = fakeWork(again, { checkpointEvery: 1 });
      expect(await runLoop(resumed.work, state)).toMatchObject({ step: 20, best: written.saved.at(-1)?.state.best });
      expect(await again.save()).toEqual(last);
      const rest = written.lines.filter(({ step }) => step > state.step);
      expect(untimed(resumed.written.lines)).toEqual(untimed(rest));
    }
  });

  test("ends when so many evaluations were no better", async () => {
    const { work, written } = fakeWork(new FakeTrainer(), { plan: { every: 2, metric: "accuracy", patience: 3 } });
    const end = await runLoop(work, null);
    expect(end.ended).toBe("patience");
    const best = end.best?.step as number;
    expect(end.step).toBe(best + 6);
    expect(end.stale).toBe(3);
    expect(written.saved.at(-1)?.state).toEqual(end);
    expect(await runLoop(work, end)).toEqual(end);
  });

  test("measures at the end of every epoch where no number of steps is given", async () => {
    const { work, written } = fakeWork(new FakeTrainer(), { plan: { every: null, metric: "loss", patience: null } });
    await runLoop(work, null);
    const { batches } = work;
    const first = batches.stepsOf(0).length;
    const second = first + batches.stepsOf(1).length;
    const found = written.lines.filter(({ kind }) => kind === "evaluation").map(({ step }) => step);
    expect(found.slice(0, 2)).toEqual([first, second]);
    expect(found.at(-1)).toBe(20);
  });

  test("leaves adapters out as AdapterDrop says: always, or 0 to n − 1 layers drawn per step, all of them when measured", async () => {
    const calls: number[] = [];
    const apply = (layers: number): void => void calls.push(layers);
    const { work, written } = fakeWork(new FakeTrainer(), { drop: { kind: "robust", layers: 4, apply } });
    await runLoop(work, null);
    expect(calls.slice(0, 5)).toEqual([0, 1, 2, 3, 0]);
    const drawn = written.lines.flatMap((line) => (line.kind === "step" ? [line.dropped as number] : []));
    expect(drawn).toEqual(Array.from({ length: 20 }, (_, step) => droppedIn(step, 4, 5)));
    const counts = [0, 1, 2, 3].map(
      (n) => Array.from({ length: 4000 }, (_, step) => droppedIn(step, 4, 1)).filter((one) => one === n).length,
    );
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(140);
    calls.length = 0;
    await runLoop(fakeWork(new FakeTrainer(), { drop: { kind: "specialised", layers: 2, apply } }).work, null);
    expect(new Set(calls)).toEqual(new Set([2]));
  });

  test("that diverges names the step and the last good checkpoint", async () => {
    const trainer = new FakeTrainer();
    const { work, written } = fakeWork(trainer);
    trainer.breaksAt = 15;
    const failure = (await runLoop(work, null).catch((error: unknown) => error)) as Error;
    const done = written.lines.filter(({ kind }) => kind === "step").length;
    const kept = written.saved.at(-1)?.state.step;
    expect(failure).toMatchObject({
      code: "DIVERGED",
      message: `step ${done + 1}: the loss is NaN; the last good checkpoint is step ${kept}`,
    });
    expect(done).toBeGreaterThan(5);
    const early = new FakeTrainer();
    early.breaksAt = 1;
    await expect(runLoop(fakeWork(early).work, null)).rejects.toThrow(
      "step 1: the loss is NaN; no checkpoint was written yet",
    );
  });

  test("that is interrupted writes a checkpoint first, from which it goes on to the same bits", async () => {
    const whole = new FakeTrainer();
    await runLoop(fakeWork(whole).work, null);
    const controller = new AbortController();
    const trainer = new FakeTrainer();
    const { work, written } = fakeWork(trainer, {
      signal: controller.signal,
      progress: (done) => done === 7 && controller.abort(new Error("interrupted")),
    });
    await expect(runLoop(work, null)).rejects.toThrow("interrupted");
    const kept = written.saved.at(-1);
    expect(kept?.state.step).toBe(7);
    const again = new FakeTrainer();
    await again.restore((kept as NonNullable<typeof kept>).trainer);
    await runLoop(fakeWork(again).work, kept?.state ?? null);
    expect(await again.save()).toEqual(await whole.save());
  });

  test("whose metric the evaluation set does not have says so", async () => {
    const { work } = fakeWork(new FakeTrainer(), { plan: { every: 1, metric: "roc-auc", patience: null } });
    await expect(runLoop(work, null)).rejects.toMatchObject({ code: "BAD_INPUT", message: /has no roc-auc/ });
  });
});

describe("metrics", () => {
  const line = (step: number): string => lineText(stepLine(step, 1));

  test("lines up to a step stay; what was being written goes, with all behind it", () => {
    const text = line(1) + line(2) + line(3);
    expect(linesUpTo(text, 2)).toBe(line(1) + line(2));
    expect(linesUpTo(text, 9)).toBe(text);
    expect(linesUpTo(text.slice(0, -5), 9)).toBe(line(1) + line(2));
    expect(linesUpTo(`${line(1)}{"kind":\n${line(2)}`, 9)).toBe(line(1));
    expect(linesUpTo("", 9)).toBe("");
  });
});
