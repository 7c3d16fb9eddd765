/** @file A trainer of an AdapterFusion: it learns, the model keeps what it learned, adapters stay frozen, bad use is refused. */

import { afterEach, describe, expect, test } from "vitest";
import type { AdapterTensors } from "../../src/adapters/tensors.ts";
import type { Model } from "../../src/model/model.ts";
import type { Tensor } from "../../src/model/types.ts";
import { Trainer } from "../../src/train/trainer.ts";
import type { TrainerOptions } from "../../src/train/trainer.ts";
import { FUSION, WIDTH, fusedModel } from "./fused-model.ts";

const ids = [
  [3, 9, 27, 1, 14, 5, 22],
  [8, 2, 19],
  [4, 4, 11, 29, 7],
  [1, 2, 3, 4],
];
const labels = [2, 0, 1, 2];
const options: TrainerOptions = {
  train: { fusions: [FUSION], heads: ["task"] },
  head: "task",
  objective: { kind: "cross-entropy" },
  optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 },
};

const open: Model[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

async function made(): Promise<Model> {
  const model = await fusedModel();
  open.push(model);
  return model;
}

async function logits(of: Model): Promise<Float32Array> {
  return ((await of.run({ ids })).heads.task as Tensor).data;
}

async function train(trainer: Trainer, steps: number): Promise<number[]> {
  const losses: number[] = [];
  for (let i = 0; i < steps; i += 1) {
    const { loss } = await trainer.step([{ input: { ids }, targets: labels }], { learningRate: 0.003 });
    losses.push(loss);
  }
  return losses;
}

function gap(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] as number))), 0);
}

const plain = (tensors: AdapterTensors): Record<string, { data: Float32Array; shape: readonly number[] }> =>
  Object.fromEntries(tensors);

describe("a trainer of a fusion", () => {
  test("learns; what it learned runs, is kept, and gives the same bits in another model", async () => {
    const model = await made();
    const before = await logits(model);
    const trainer = await Trainer.create(model, options);
    expect(gap(await logits(model), before)).toBeLessThan(1e-5);
    const losses = await train(trainer, 25);
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) / 2);
    const during = await logits(model);
    expect(gap(during, before)).toBeGreaterThan(0.1);
    await trainer.writeBack();
    expect(await logits(model)).toEqual(during);
    const written = model.contents.fusion(FUSION).tensors;
    await trainer.dispose();
    const after = await logits(model);
    // Folded ahead, sums have another order.
    expect(gap(after, during)).toBeLessThan(1e-4);

    const other = await made();
    await other.changeFusion(FUSION, (fusion) => ({ ...fusion, tensors: written }));
    const head = model.contents.head("task");
    other.removeHead("task");
    await other.addHead("task", { config: { ...head.config }, tensors: plain(head.tensors) });
    expect(await logits(other)).toEqual(after);
  });

  test("leaves the adapters alone, and of the fusion trains every matrix and bias but the key's", async () => {
    const model = await made();
    const { tensors } = model.contents.fusion(FUSION);
    const trainer = await Trainer.create(model, options);
    await train(trainer, 2);
    await trainer.dispose();
    const trained = model.contents.fusion(FUSION).tensors;
    const changed = [...trained].filter(([name, { data }]) => gap(data, tensors.get(name)?.data as Float32Array) > 0);
    const named = changed.map(([name]) => name.split(".").slice(3).join("."));
    expect(new Set(named)).toEqual(new Set(["query.weight", "query.bias", "key.weight", "value.weight"]));
    expect(trainer.trainables.map(({ owner }) => owner)).not.toContain("adapter a");
  });

  test("the regulariser draws the values towards the identity", async () => {
    const apart = async (regularization: boolean): Promise<number> => {
      const model = await fusedModel({ regularization });
      open.push(model);
      const trainer = await Trainer.create(model, options);
      await train(trainer, 10);
      await trainer.dispose();
      let sum = 0;
      for (const [name, { data }] of model.contents.fusion(FUSION).tensors)
        if (name.endsWith("value.weight"))
          data.forEach((value, at) => (sum += ((at % (WIDTH + 1) === 0 ? 1 : 0) - value) ** 2));
      return sum;
    };
    expect(await apart(true)).toBeLessThan(0.95 * (await apart(false)));
  });

  test("the loss of an evaluation is without it", async () => {
    const model = await made();
    const trainer = await Trainer.create(model, options);
    const { loss } = await trainer.evaluate({ input: { ids }, targets: labels });
    const [step] = await train(trainer, 1);
    expect((step as number) - loss).toBeGreaterThan(0.01);
    await trainer.dispose();
  });

  test("refuses to change what it trains, and fusions that are not active", async () => {
    const model = await made();
    const trainer = await Trainer.create(model, options);
    const pruning = model.changeFusion(FUSION, (fusion) => ({ ...fusion, forced: new Set(["a"]) }));
    await expect(pruning).rejects.toThrow("the fusion a,b,c is being trained: it cannot be changed");
    await expect(Trainer.create(model, options)).rejects.toThrow("by one trainer at a time");
    await train(trainer, 1);
    await trainer.dispose();
    const both = { ...options, train: { ...options.train, adapters: ["b"] } };
    await expect(Trainer.create(model, both)).rejects.toThrow("the adapter b is part of the fusion a,b,c");
    model.setActive("a");
    await expect(Trainer.create(model, options)).rejects.toThrow("the fusion a,b,c is not in what is active");
    // Nothing is held after that.
    await model.changeFusion(FUSION, (fusion) => ({ ...fusion, forced: new Set(["a"]) }));
  });

  test("a run of the same seed gives the same bits, also from a saved state on", async () => {
    const [a, b] = [await made(), await made()];
    const first = await Trainer.create(a, options);
    const losses = await train(first, 2);
    const state = await first.save();
    losses.push(...(await train(first, 2)));
    await first.dispose();
    const second = await Trainer.create(b, options);
    await second.restore(state);
    expect(await train(second, 2)).toEqual(losses.slice(2));
    await second.dispose();
    expect(await logits(b)).toEqual(await logits(a));
  });
});
