/** @file Trainings that begin at a layer: the same steps without what is below. */

import { describe, expect, test } from "vitest";
import { coda } from "../../src/routing/coda.ts";
import { normal } from "../../src/random.ts";
import { EntryCache, entryOf } from "../../src/train/entry.ts";
import { computeEntries } from "../../src/train/entry-sets.ts";
import { Trainer } from "../../src/train/trainer.ts";
import type { StepPart, StepReport, TrainerOptions } from "../../src/train/trainer.ts";
import { ids, labels, model, options } from "./trainer-case.ts";

/** Of a clip of the tiny KWT: its samples, and frames with the class token. */
const SAMPLES = 64;
const ROWS = 8;

describe("a training that begins at a layer", () => {
  test("takes the same steps as one that computes what is below, and launches nothing there", async () => {
    const found: { reports: StepReport[]; loss: number; launches: readonly string[] }[] = [];
    for (const begins of [false, true]) {
      const of = await model();
      of.dropAdapters({ layers: 1 });
      const trainer = await Trainer.create(of, options);
      const plain = { input: { ids }, targets: labels };
      const layer = (await trainer.lowest(plain)) as number;
      expect(layer).toBe(1);
      const part = begins ? { ...plain, entry: await entryOf(of, plain.input, layer) } : plain;
      const { steps: launches } = await trainer.explain(part);
      const reports: StepReport[] = [];
      for (let i = 0; i < 3; i += 1) reports.push(await trainer.step([part], { learningRate: 0.01 }));
      const { loss } = await trainer.evaluate(part);
      found.push({ reports, loss, launches: launches.map(({ scope }) => scope) });
      await trainer.dispose();
    }
    const [whole, entered] = found as [(typeof found)[0], (typeof found)[0]];
    entered.reports.forEach(({ loss, norm }, at) => {
      expect(loss).toBeCloseTo(whole.reports[at]?.loss as number, 5);
      expect(norm).toBeCloseTo(whole.reports[at]?.norm as number, 4);
    });
    expect(entered.loss).toBeCloseTo(whole.loss, 5);
    expect(whole.launches.some((scope) => scope.startsWith("layers.0"))).toBe(true);
    expect(whole.launches.some((scope) => scope.startsWith("backward.layers.0"))).toBe(false);
    expect(whole.launches.some((scope) => scope.startsWith("backward.layers.1"))).toBe(true);
    expect(entered.launches.some((scope) => scope.includes("layers.0"))).toBe(false);
  });

  test("knows the lowest layer: the head alone, routers, weights below all layers", async () => {
    const of = await model();
    const part = { input: { ids }, targets: labels };
    const lowestOf = async (train: TrainerOptions["train"]): Promise<number | null> => {
      const trainer = await Trainer.create(of, { ...options, train });
      const lowest = await trainer.lowest(part);
      await trainer.dispose();
      return lowest;
    };
    expect(await lowestOf({ heads: ["task"] })).toBe(2);
    expect(await lowestOf({ adapters: ["task"] })).toBe(0);
    expect(await lowestOf({ host: "all" })).toBeNull();
    expect(await lowestOf({ host: ["layers.1."] })).toBe(1);
    of.setRouting(coda({ reduction: [null, 2], epsilon: 0.5 }));
    expect(await lowestOf({ routers: true })).toBe(1);
  });

  test("of audio begins behind the front end, of ids not at the first layer", async () => {
    const audio = [1, 2, 3].map((seed) => normal(seed, SAMPLES));
    const of = await model({ family: "kwt" });
    const trainer = await Trainer.create(of, options);
    const work = {
      sets: { train: { lengths: audio.map(() => ROWS), parts: [[0, 1], [2]] } },
      part: (_: string, examples: readonly number[]) => ({
        input: { audio: examples.map((at) => audio[at] as Float32Array) },
        targets: examples.map((at) => labels[at] as number),
      }),
      signal: new AbortController().signal,
      highest: 0,
      progress: () => undefined,
    };
    const entries = await computeEntries(of, trainer, work);
    expect(entries?.layer).toBe(0);
    const [plain, entered] = [work.part, entries?.part].map((part) => part?.("train", [2, 0, 1], 0) as StepPart);
    // Of both the graph's own scope holds what is neither of a layer nor of a head.
    const launches = async (part: StepPart): Promise<string[]> =>
      (await trainer.explain(part)).steps.flatMap(({ scope, op }) => (scope === "" ? [op] : []));
    expect(await launches(plain as StepPart)).toEqual(expect.arrayContaining(["matmul", "embedding"]));
    // What the way back begins with.
    expect(await launches(entered as StepPart)).toEqual(["fill"]);
    const losses = await Promise.all(
      [plain, entered].map(async (part) => (await trainer.evaluate(part as StepPart)).loss),
    );
    expect(losses[1]).toBeCloseTo(losses[0] as number, 5);
    await trainer.step([entered as StepPart], { learningRate: 0.01 });
    await trainer.dispose();
    const text = await model();
    const other = await Trainer.create(text, options);
    const sets = { train: { lengths: ids.map(({ length }) => length), parts: [[0, 1, 2, 3]] } };
    const part = () => ({ input: { ids }, targets: labels });
    expect(await computeEntries(text, other, { ...work, sets, part })).toBeNull();
    // Above the highest layer that is asked for.
    text.dropAdapters({ layers: 1 });
    expect(await computeEntries(text, other, { ...work, sets, part })).toBeNull();
    expect((await computeEntries(text, other, { ...work, sets, part, highest: 2 }))?.layer).toBe(1);
    await other.dispose();
  });

  test("puts batches together from what was computed of other batches", async () => {
    const of = await model();
    const cache = new EntryCache(of, 2);
    const rows = ids.map(({ length }) => length);
    await cache.compute(["a", "b", "c"], { ids: ids.slice(0, 3) }, rows.slice(0, 3));
    await cache.compute(["d"], { ids: ids.slice(3) }, rows.slice(3));
    const order = [3, 1, 0, 2];
    const together = await entryOf(of, { ids: order.map((index) => ids[index] as number[]) }, 2);
    const found = cache.entry(order.map((index) => "abcd"[index] as string));
    expect(found.layer).toBe(2);
    expect(found.hidden.length).toBe(together.hidden.length);
    found.hidden.forEach((value, at) => expect(value).toBeCloseTo(together.hidden[at] as number, 5));
    expect(cache.bytes).toBe(found.hidden.byteLength);
    await expect(cache.compute(["e"], { ids: ids.slice(3) }, [9])).rejects.toThrow("4 rows enter layer 2, expected 9");
  });
});
