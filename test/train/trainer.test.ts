/** @file Training steps on the device: a small model learns a batch, the same seed gives the same bits, faults leave all as it was. */

import { describe, expect, test } from "vitest";
import type { Model } from "../../src/model/model.ts";
import type { Tensor } from "../../src/model/types.ts";
import { coda } from "../../src/routing/coda.ts";
import { entryOf } from "../../src/train/entry.ts";
import type { TrainerState } from "../../src/train/state.ts";
import { Trainer } from "../../src/train/trainer.ts";
import type { StepPart, StepReport, TrainerOptions } from "../../src/train/trainer.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { ids, labels, model, options } from "./trainer-case.ts";

async function logits(of: Model): Promise<Float32Array> {
  const { heads } = await of.run({ ids });
  return (heads.task as Tensor).data;
}

async function steps(of: Model, count: number, change: Partial<TrainerOptions> = {}): Promise<number[]> {
  const trainer = await Trainer.create(of, { ...options, ...change });
  const losses: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const { loss } = await trainer.step([{ input: { ids }, targets: labels }], { learningRate: 0.01 });
    losses.push(loss);
  }
  await trainer.dispose();
  return losses;
}

describe("a trainer", () => {
  test("makes the loss of a batch small, and the model that is left behind has learned it", async () => {
    const of = await model();
    const losses = await steps(of, 40);
    expect(losses[0]).toBeGreaterThan(0.8);
    expect(losses.at(-1)).toBeLessThan(0.05);
    const found = await logits(of);
    labels.forEach((label, row) => {
      const own = Array.from(found.subarray(3 * row, 3 * row + 3));
      expect(own.indexOf(Math.max(...own))).toBe(label);
    });
  });

  test("gives the same bits twice", async () => {
    const [a, b] = [await model(), await model()];
    expect(await steps(a, 5)).toEqual(await steps(b, 5));
    expect(await logits(a)).toEqual(await logits(b));
  });

  test("leaves frozen weights as they are: without the adapter the model is what it was", async () => {
    const of = await model();
    of.setActive(null);
    const before = (await of.run({ ids }, { outputs: ["hidden"] })).hidden?.data;
    of.setActive("task");
    await steps(of, 3);
    of.setActive(null);
    expect((await of.run({ ids }, { outputs: ["hidden"] })).hidden?.data).toEqual(before);
  });

  test("learns with stochastic gradient descent, and with routers", async () => {
    const of = await model();
    const sgd = { kind: "sgd", momentum: 0.9, weightDecay: 0, clip: null } as const;
    const plain = await steps(of, 30, { optimizer: sgd });
    expect(plain.at(-1)).toBeLessThan(0.5 * (plain[0] as number));
    const routed = await model();
    routed.setRouting(coda({ reduction: 2, epsilon: 0.5 }));
    const losses = await steps(routed, 30, { train: { ...options.train, routers: true } });
    expect(losses.at(-1)).toBeLessThan(0.1);
  });

  test("runs warm steps without a pipeline, buffer or bind group", async () => {
    const of = await model();
    const gpu = await sharedGpu();
    const trainer = await Trainer.create(of, options);
    for (let i = 0; i < 2; i += 1) await trainer.step([{ input: { ids }, targets: labels }], { learningRate: 0.01 });
    const before = { ...gpu.counters };
    await trainer.step([{ input: { ids }, targets: labels }], { learningRate: 0.01 });
    // One submission for the gradients, one for the update; the gradient is cleared by one that is not counted.
    expect(gpu.counters).toEqual({ ...before, submits: before.submits + 2 });
    await trainer.dispose();
  });

  test("frees everything it made", async () => {
    const of = await model();
    await of.run({ ids });
    const gpu = await sharedGpu();
    const trainer = await Trainer.create(of, options);
    await trainer.dispose();
    await of.run({ ids });
    const before = gpu.memory;
    const again = await Trainer.create(of, options);
    await again.step([{ input: { ids }, targets: labels }], { learningRate: 0.01 });
    expect(gpu.memory.bytes).toBeGreaterThan(before.bytes);
    await again.dispose();
    await of.run({ ids });
    expect(gpu.memory).toEqual(before);
  });
});

describe("a batch in parts", () => {
  const parts = (cuts: readonly number[]): StepPart[] =>
    cuts.slice(1).map((to, index) => ({
      input: { ids: ids.slice(cuts[index], to) },
      targets: labels.slice(cuts[index], to),
    }));

  test("has the loss and the gradient of the whole, to rounding, whatever the parts", async () => {
    const reports: StepReport[] = [];
    const learned: Float32Array[] = [];
    for (const cuts of [
      [0, 4],
      [0, 1, 4],
      [0, 2, 3, 4],
    ]) {
      const of = await model();
      const sgd = { kind: "sgd", momentum: 0, weightDecay: 0, clip: null } as const;
      const trainer = await Trainer.create(of, { ...options, optimizer: sgd });
      reports.push(await trainer.step(parts(cuts), { learningRate: 0.1 }));
      await trainer.dispose();
      learned.push(await logits(of));
    }
    const [whole, ...others] = reports as [StepReport, ...StepReport[]];
    others.forEach(({ loss, norm }, index) => {
      expect(loss).toBeCloseTo(whole.loss, 5);
      expect(norm / whole.norm).toBeCloseTo(1, 4);
      learned[index + 1]?.forEach((value, at) => expect(value).toBeCloseTo(learned[0]?.[at] as number, 4));
    });
  });

  test("needs a target in every part", async () => {
    const trainer = await Trainer.create(await model(), options);
    const none = { input: { ids: ids.slice(0, 1) }, targets: [-1] };
    await expect(trainer.step([...parts([0, 4]), none], { learningRate: 0.1 })).rejects.toThrow(
      "no target of the batch",
    );
    await trainer.dispose();
  });
});

describe("a state", () => {
  const rate = { learningRate: 0.01 };
  const batch = [{ input: { ids }, targets: labels }];

  test("brings another trainer to the same bits", async () => {
    const [a, b] = [await model(), await model()];
    const [first, second] = [await Trainer.create(a, options), await Trainer.create(b, options)];
    for (let i = 0; i < 3; i += 1) await first.step(batch, rate);
    await second.restore(await first.save());
    for (const one of [first, second]) for (let i = 0; i < 2; i += 1) await one.step(batch, rate);
    expect(await second.save()).toEqual(await first.save());
    for (const one of [first, second]) await one.dispose();
    expect(await logits(b)).toEqual(await logits(a));
  });

  test("of another training is refused, and nothing has changed", async () => {
    const of = await model();
    const trainer = await Trainer.create(of, options);
    const state = await trainer.save();
    const [name] = Object.keys(state.tensors) as [string];
    const { [name]: _, ...others } = state.tensors;
    await expect(trainer.restore({ ...state, tensors: others })).rejects.toThrow(`no elements of ${name}`);
    const strange = { ...state.tensors, "adapter other/x/0/weights": new Float32Array(4) };
    await expect(trainer.restore({ ...state, tensors: strange })).rejects.toThrow("adapter other/x/0/weights");
    const sgd = { kind: "sgd", momentum: 0, weightDecay: 0, clip: null } as const;
    expect(await trainer.save()).toEqual(state);
    await trainer.dispose();
    const other = await Trainer.create(of, { ...options, optimizer: sgd });
    await expect(other.restore(state)).rejects.toThrow("second");
    await other.dispose();
  });
});

describe("an evaluation", () => {
  test("has the loss of the next step and the logits of a run", async () => {
    const of = await model();
    const before = await logits(of);
    const trainer = await Trainer.create(of, options);
    const found = await trainer.evaluate({ input: { ids }, targets: labels });
    const { loss } = await trainer.step([{ input: { ids }, targets: labels }], { learningRate: 0.01 });
    expect(found.loss).toBeCloseTo(loss, 6);
    expect(found).toMatchObject({ count: 4, rows: null });
    found.logits.forEach((value, at) => expect(value).toBeCloseTo(before[at] as number, 5));
    await trainer.dispose();
  });
});

describe("a head of tokens", () => {
  test("reads labelled rows alone, and learns them", async () => {
    const of = await model({ present: ["cls.predictions.transform.dense.weight"] });
    const trainer = await Trainer.create(of, { ...options, train: { adapters: ["task"] }, head: "default" });
    const rows = ids.flat();
    const targets = rows.map((id, row) => (row % 3 === 1 ? id : -1));
    const part = { input: { ids }, targets };
    const first = await trainer.evaluate(part);
    const labelled = rows.flatMap((_, row) => (row % 3 === 1 ? [row] : []));
    expect(Array.from(first.rows ?? [])).toEqual(labelled);
    expect(first.count).toBe(labelled.length);
    const whole = (await of.run({ ids }, { outputs: ["heads.default"] })).heads.default as Tensor;
    const width = whole.shape[1] as number;
    labelled.forEach((row, at) => {
      for (let column = 0; column < width; column += 1)
        expect(first.logits[at * width + column]).toBeCloseTo(whole.data[row * width + column] as number, 4);
    });
    for (let i = 0; i < 15; i += 1) await trainer.step([part], { learningRate: 0.02 });
    expect((await trainer.evaluate(part)).loss).toBeLessThan(0.7 * first.loss);
    await trainer.dispose();
  });
});

describe("dropped layers", () => {
  test("have no backward pass: five of six without adapters leave no launch of theirs on the way back", async () => {
    const of = await model({ config: { num_hidden_layers: 6 } });
    const trainer = await Trainer.create(of, options);
    const backward: Set<string>[] = [];
    for (const layers of [0, 5]) {
      of.dropAdapters(layers === 0 ? null : { layers });
      const { steps: launches } = await trainer.explain({ input: { ids }, targets: labels });
      const found = launches.map(({ scope }) => /^backward\.(layers\.\d)/.exec(scope)?.[1]);
      backward.push(new Set(found.filter((scope) => scope !== undefined)));
    }
    // Below the lowest adapter of layer 0 there is nothing to go back to but that adapter itself.
    expect([...(backward[0] as Set<string>)].sort()).toEqual([0, 1, 2, 3, 4, 5].map((layer) => `layers.${layer}`));
    expect([...(backward[1] as Set<string>)]).toEqual(["layers.5"]);
    await trainer.dispose();
  });

  test("may be others in every step: what a step does not reach stays as it is", async () => {
    const of = await model();
    const trainer = await Trainer.create(of, options);
    const part = { input: { ids }, targets: labels };
    const changed = (a: TrainerState, b: TrainerState): string[] =>
      Object.keys(a.tensors).filter((name) => `${a.tensors[name]}` !== `${b.tensors[name]}`);
    const before = await trainer.save();
    of.dropAdapters({ layers: 1 });
    await trainer.step([part], { learningRate: 0.01 });
    const after = await trainer.save();
    expect(changed(before, after).some((name) => name.includes("layers.0"))).toBe(false);
    expect(changed(before, after).some((name) => name.includes("layers.1"))).toBe(true);
    of.dropAdapters(null);
    await trainer.step([part], { learningRate: 0.01 });
    const last = await trainer.save();
    expect(changed(after, last).some((name) => name.includes("layers.0"))).toBe(true);
    const updates = Object.entries(last.updates).filter(([name]) => name.includes("layers."));
    expect(new Set(updates.map(([name, count]) => `${name.includes("layers.0")} ${count}`))).toEqual(
      new Set(["true 1", "false 2"]),
    );
    await trainer.dispose();
  });
});

describe("recomputation", () => {
  test("gives the same bits with less memory and more work", async () => {
    const found: { state: TrainerState; arena: number; flops: number; scopes: string[] }[] = [];
    for (const recompute of [false, true]) {
      const of = await model();
      of.setRouting(coda({ reduction: 2, epsilon: 0.5 }));
      const train = { ...options.train, routers: true };
      const trainer = await Trainer.create(of, { ...options, train, recompute });
      const part = { input: { ids }, targets: labels };
      for (let i = 0; i < 3; i += 1) await trainer.step([part], { learningRate: 0.01 });
      const { arenaBytes: arena, flops, steps: launches } = await trainer.explain(part);
      found.push({ state: await trainer.save(), arena, flops, scopes: launches.map(({ scope }) => scope) });
      await trainer.dispose();
    }
    const [kept, again] = found as [(typeof found)[0], (typeof found)[0]];
    expect(again.state).toEqual(kept.state);
    expect(again.flops).toBeGreaterThan(kept.flops);
    expect(again.scopes.some((scope) => scope.includes("recompute.layers.0"))).toBe(true);
    expect(again.scopes.some((scope) => scope.includes("recompute.layers.1"))).toBe(false);
    expect(again.arena).toBeLessThan(kept.arena);
  });
});

describe("faults", () => {
  test("a value that is not finite ends the step, is named, and nothing is updated", async () => {
    const of = await model();
    const trainer = await Trainer.create(of, options);
    const entry = await entryOf(of, { ids }, 1);
    const part = { input: { ids }, targets: labels, entry };
    await trainer.step([part], { learningRate: 0.01 });
    const before = await trainer.save();
    const hidden = Float32Array.from(entry.hidden);
    hidden[5] = Number.POSITIVE_INFINITY;
    await expect(
      trainer.step([{ ...part, entry: { layer: 1, hidden } }], { learningRate: 0.01 }),
    ).rejects.toMatchObject({
      code: "DIVERGED",
      message: expect.stringContaining("element 5 of layers.1.input is the first value that is not finite"),
    });
    expect(await trainer.save()).toEqual({ ...before, passes: before.passes + 1 });
    await trainer.step([part], { learningRate: 0.01 });
    await expect(trainer.step([part], { learningRate: 1e30 })).resolves.toMatchObject({ loss: expect.any(Number) });
    await expect(trainer.step([part], { learningRate: 0.01 })).rejects.toThrow(/is the first value that is not finite/);
    await trainer.dispose();
  });

  test("labels that the head does not have are refused by number, and nothing has changed", async () => {
    const of = await model();
    const trainer = await Trainer.create(of, options);
    const step = (targets: readonly number[]): Promise<unknown> =>
      trainer.step([{ input: { ids }, targets }], { learningRate: 0.01 });
    await expect(step([0, 1, 3, 0])).rejects.toThrow("label 2 is 3, the head has 3 labels");
    await expect(step([0, 1, 0.5, 0])).rejects.toThrow("label 2 is 0.5");
    await expect(step([0, 1])).rejects.toThrow("2 targets are given, the batch has 4");
    expect(await trainer.step([{ input: { ids }, targets: labels }], { learningRate: 0.01 })).toMatchObject({
      loss: expect.any(Number),
    });
    await trainer.dispose();
  });

  test("nothing to train, and adapters for which the bank would grow during a training", async () => {
    const of = await model();
    await expect(Trainer.create(of, { ...options, train: {} })).rejects.toThrow("there is nothing to train");
    const trainer = await Trainer.create(of, options);
    const wide = { mh_adapter: false, output_adapter: true, reduction_factor: 0.25, non_linearity: "relu" };
    await expect(of.addAdapter("other", { config: wide })).rejects.toThrow(
      "the bank would grow while adapters in it are trained",
    );
    await of.addAdapter("beside", "double_seq_bn");
    expect(await trainer.step([{ input: { ids }, targets: labels }], { learningRate: 0.01 })).toMatchObject({
      loss: expect.any(Number),
    });
    await trainer.dispose();
  });
});
