/** @file Trainings that begin at a layer: the same steps without what is below. */

import { describe, expect, test } from "vitest";
import { coda } from "../../src/routing/coda.ts";
import { EntryCache, entryOf } from "../../src/train/entry.ts";
import { Trainer } from "../../src/train/trainer.ts";
import type { StepReport, TrainerOptions } from "../../src/train/trainer.ts";
import { ids, labels, model, options } from "./trainer-case.ts";

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
