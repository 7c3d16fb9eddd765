/** @file Prefixes and prompts in a training step: rows of one slot of a table are trained, sequences beside them use another's. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { batchSplit } from "../../src/adapters/composition.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { randomAdapter } from "../model/random-adapter.ts";
import { tinyModel } from "../tiny-models.ts";
import { checkStep, classes, ids } from "./step-case.ts";

const methods: Readonly<Record<string, (rows: number) => Readonly<Record<string, unknown>>>> = {
  prefix: (rows) => ({ architecture: "prefix_tuning", flat: true, prefix_length: rows }),
  "gated prefix": (rows) => ({ architecture: "prefix_tuning", flat: true, prefix_length: rows, use_gating: true }),
  prompt: (rows) => ({ architecture: "prompt_tuning", prompt_length: rows }),
};

/** Of a method's own fields alone: those of a bottleneck are no part of it. */
function adapterOf(
  model: Model,
  seed: number,
  fields: Readonly<Record<string, unknown>>,
): ReturnType<typeof randomAdapter> {
  const none = {
    mh_adapter: undefined,
    output_adapter: undefined,
    reduction_factor: undefined,
    non_linearity: undefined,
  };
  return randomAdapter(model.host.shape, seed, { ...none, ...fields });
}

describe.each(Object.keys(methods))("%s", (method) => {
  let model: Model;
  beforeAll(async () => {
    model = await loadFolder(await sharedGpu(), tinyModel("bert").folder);
    await model.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 1 } });
    const configOf = methods[method] as (rows: number) => Readonly<Record<string, unknown>>;
    await model.addAdapter("long", adapterOf(model, 1, configOf(5)));
    await model.addAdapter("short", adapterOf(model, 2, configOf(2)));
  });
  afterAll(async () => model?.dispose());

  test.each(["long", "short"])("the gradient of %s alone, beside the other", async (name) => {
    model.setActive(batchSplit("long", "short", { batchSizes: [1, 2] }));
    const { deviceError, gradients } = await checkStep(model, { ...classes, train: { adapters: [name] }, moved: 8 });
    expect(deviceError).toBeLessThan(1e-4);
    for (const gradient of gradients.values()) expect(gradient.some((value) => Math.abs(value) > 1e-6)).toBe(true);
  });

  test("it learns, and the other's slot keeps its bits", async () => {
    model.setActive("long");
    const before = (await model.run({ ids })).hidden?.data;
    model.setActive("short");
    const trainer = await Trainer.create(model, {
      train: { adapters: ["short"], heads: ["task"] },
      head: "task",
      objective: { kind: "cross-entropy" },
      optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 },
    });
    const losses: number[] = [];
    for (let i = 0; i < 20; i += 1)
      losses.push((await trainer.step([{ input: { ids }, targets: [2, 0, 1] }], { learningRate: 0.02 })).loss);
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) / 2);
    await trainer.dispose();
    model.setActive("long");
    expect((await model.run({ ids })).hidden?.data).toEqual(before);
  });
});
