/** @file Training steps on the device: a small model learns a batch, the same seed gives the same bits, faults leave all as it was. */

import { afterEach, describe, expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { Tensor } from "../../src/model/types.ts";
import { coda } from "../../src/routing/coda.ts";
import { Trainer } from "../../src/train/trainer.ts";
import type { TrainerOptions } from "../../src/train/trainer.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";

const ids = [
  [3, 9, 27, 1, 14, 5, 22],
  [8, 2, 19],
  [4, 4, 11, 29, 7],
  [1, 2, 3, 4],
];
const labels = [2, 0, 1, 2];
const options: TrainerOptions = {
  train: { adapters: ["task"], heads: ["task"] },
  head: "task",
  objective: { kind: "cross-entropy" },
  optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 },
};

const open: Model[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

async function model(): Promise<Model> {
  const made = await loadFolder(await sharedGpu(), tinyModel("bert").folder);
  open.push(made);
  await made.addAdapter("task", "seq_bn");
  await made.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 1 } });
  made.setActive("task");
  return made;
}

async function logits(of: Model): Promise<Float32Array> {
  const { heads } = await of.run({ ids });
  return (heads.task as Tensor).data;
}

async function steps(of: Model, count: number, change: Partial<TrainerOptions> = {}): Promise<number[]> {
  const trainer = await Trainer.create(of, { ...options, ...change });
  const losses: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const { loss } = await trainer.step({ ids }, labels, { learningRate: 0.01 });
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
    for (let i = 0; i < 2; i += 1) await trainer.step({ ids }, labels, { learningRate: 0.01 });
    const before = { ...gpu.counters };
    await trainer.step({ ids }, labels, { learningRate: 0.01 });
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
    await again.step({ ids }, labels, { learningRate: 0.01 });
    expect(gpu.memory.bytes).toBeGreaterThan(before.bytes);
    await again.dispose();
    await of.run({ ids });
    expect(gpu.memory).toEqual(before);
  });
});

describe("faults", () => {
  test("labels that the head does not have are refused by number, and nothing has changed", async () => {
    const of = await model();
    const trainer = await Trainer.create(of, options);
    const step = (targets: readonly number[]): Promise<unknown> =>
      trainer.step({ ids }, targets, { learningRate: 0.01 });
    await expect(step([0, 1, 3, 0])).rejects.toThrow("label 2 is 3, the head has 3 labels");
    await expect(step([0, 1, 0.5, 0])).rejects.toThrow("label 2 is 0.5");
    await expect(step([0, 1])).rejects.toThrow("2 targets are given, the batch has 4");
    expect(await trainer.step({ ids }, labels, { learningRate: 0.01 })).toMatchObject({ loss: expect.any(Number) });
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
    expect(await trainer.step({ ids }, labels, { learningRate: 0.01 })).toMatchObject({ loss: expect.any(Number) });
    await trainer.dispose();
  });
});
