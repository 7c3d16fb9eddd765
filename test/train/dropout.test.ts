/** @file Dropout at its sites in a training step: where it stands, that its gradient is right, what follows from the seed. */

import { afterEach, describe, expect, test } from "vitest";
import { batchSplit } from "../../src/adapters/composition.ts";
import { streamOf } from "../../src/adapters/evaluate/dropout.ts";
import type { Dropouts } from "../../src/adapters/evaluate/dropout.ts";
import type { Graph } from "../../src/graph/value.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { coda } from "../../src/routing/coda.ts";
import { SEED, dropoutsOf } from "../../src/train/dropouts.ts";
import { objectiveOf } from "../../src/train/objectives.ts";
import { buildEvaluation } from "../../src/train/step-graph.ts";
import { Trainer } from "../../src/train/trainer.ts";
import type { TrainerOptions } from "../../src/train/trainer.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { randomAdapter } from "../model/random-adapter.ts";
import { tinyModel } from "../tiny-models.ts";
import { checkStep, classes as plainClasses, ids } from "./step-case.ts";
import type { StepCase } from "./step-case.ts";

const dropouts: Dropouts = { seed: SEED, hidden: 0, head: 0, attention: 0, fusion: null };
const classes: Omit<StepCase, "train"> = { ...plainClasses, draft: { dropout: dropouts }, seeds: [7, 3] };

const open: Model[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

const unset = {
  mh_adapter: undefined,
  output_adapter: undefined,
  reduction_factor: undefined,
  non_linearity: undefined,
};

async function made(
  fields: Readonly<Record<string, unknown>>,
  head: Readonly<Record<string, unknown>> = {},
  host: Readonly<Record<string, unknown>> = {},
): Promise<Model> {
  const model = await loadFolder(await sharedGpu(), tinyModel("bert", host).folder);
  open.push(model);
  await model.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 2, ...head } });
  await model.addAdapter("task", randomAdapter(model.host.shape, 1, fields));
  model.setActive("task");
  return model;
}

const sites: Readonly<Record<string, { readonly fields: Readonly<Record<string, unknown>>; readonly places: number }>> =
  {
    "a bottleneck behind each sub-layer": { fields: { mh_adapter: true, dropout: 0.3 }, places: 4 },
    "a gated bottleneck": { fields: { dropout: 0.3, use_gating: true }, places: 2 },
    "a LoRA": { fields: { ...unset, architecture: "lora", r: 3, dropout: 0.3 }, places: 2 },
    "a prefix": {
      fields: { ...unset, architecture: "prefix_tuning", flat: true, prefix_length: 3, dropout: 0.3 },
      places: 2,
    },
  };

test.each(Object.entries(sites))("%s", async (_, { fields, places }) => {
  const model = await made(fields);
  const { step, deviceError } = await checkStep(model, { ...classes, train: { adapters: ["task"] } });
  expect(deviceError).toBeLessThan(1e-4);
  const streams = step.built.graph.nodes.flatMap(({ label, attributes, scope }) =>
    label === "dropout" && !scope.startsWith("backward") ? [attributes.stream] : [],
  );
  expect(new Set(streams).size).toBe(places);
  const still = await checkStep(model, { ...classes, draft: {}, train: { adapters: ["task"] } });
  expect(still.loss).not.toBe((await checkStep(model, { ...classes, train: { adapters: ["task"] } })).loss);
  expect(still.step.built.graph.nodes.map(({ label }) => label)).not.toContain("dropout");
});

test("a head, at its own rate, or else at that of the checkpoint", async () => {
  const rates = async (head: object, host: object): Promise<unknown[]> => {
    const model = await made({}, { ...head }, { ...host });
    const draft = { dropout: dropoutsOf(model.host) };
    const { step, deviceError } = await checkStep(model, { ...classes, draft, train: { heads: ["task"] } });
    expect(deviceError).toBeLessThan(1e-4);
    return step.built.graph.nodes.flatMap(({ label, attributes, scope }) =>
      label === "dropout" && !scope.startsWith("backward") ? [attributes.rate] : [],
    );
  };
  expect(await rates({ dropout_prob: 0.25 }, { hidden_dropout_prob: 0.1 })).toEqual([0.25, 0.25]);
  expect(await rates({}, { hidden_dropout_prob: 0.1 })).toEqual([0.1, 0.1]);
  expect(await rates({}, { hidden_dropout_prob: 0.1, classifier_dropout: 0.4 })).toEqual([0.4, 0.4]);
  expect(await rates({}, {})).toEqual([]);
});

describe("the checkpoint's own head, at the rate of its configuration", () => {
  const distilbert = { dim: 32, n_heads: 2, n_layers: 1, hidden_dim: 40, max_position_embeddings: 40, vocab_size: 30 };

  test.each<[string, Readonly<Record<string, unknown>>, readonly string[], number]>([
    ["bert", {}, ["classifier.weight"], 1],
    ["albert", {}, ["classifier.weight"], 1],
    ["distilbert", distilbert, ["pre_classifier.weight", "classifier.weight"], 1],
    // Before the pooler as well.
    ["roberta", { pad_token_id: 1 }, ["classifier.dense.weight"], 2],
  ])("%s", async (family, fields, present, places) => {
    const rates = { hidden_dropout_prob: 0.2, dropout: 0.2, num_labels: 3 };
    const config = { model_type: family, ...fields, ...rates };
    const base = family === "roberta" ? "bert" : family;
    const model = await loadFolder(await sharedGpu(), tinyModel(base, config, 1, present).folder);
    open.push(model);
    const own = { outputs: ["heads.default"], objective: objectiveOf({ kind: "cross-entropy" }, "heads.default") };
    const stepCase = { ...classes, ...own, train: { host: "all" as const }, moved: 2 };
    const still = await checkStep(model, { ...stepCase, draft: {} });
    const { step, deviceError, loss } = await checkStep(model, {
      ...stepCase,
      draft: { dropout: dropoutsOf(model.host) },
    });
    expect(deviceError).toBeLessThan(1e-4);
    expect(loss).not.toBe(still.loss);
    const found = step.built.graph.nodes.filter(
      ({ label, scope }) => label === "dropout" && !scope.startsWith("backward"),
    );
    expect(found.map(({ attributes }) => attributes.rate)).toEqual(Array.from({ length: places }, () => 0.2));
    expect(new Set(found.map(({ attributes }) => attributes.stream)).size).toBe(places);
  });
});

const half = { dropout: { ...dropouts, hidden: 0.3 } };

describe("the host's own values", () => {
  const placesOf = (graph: Graph): number =>
    new Set(
      graph.nodes.flatMap(({ label, attributes, scope }) =>
        label === "dropout" && !scope.startsWith("backward") ? [attributes.stream] : [],
      ),
    ).size;

  test.each<[string, Record<string, unknown>]>([
    ["without adapters in its sub-layers", { ...unset, architecture: "lora", r: 3 }],
    ["before the adapters behind its sub-layers", { mh_adapter: true }],
  ])("%s, all weights being trained", async (_, fields) => {
    const model = await made(fields);
    const { step, deviceError, loss } = await checkStep(model, { ...classes, draft: half, train: { host: "all" } });
    expect(deviceError).toBeLessThan(1e-4);
    // Embeddings, and two sub-layers of two layers.
    expect(placesOf(step.built.graph)).toBe(5);
    expect((await checkStep(model, { ...classes, draft: {}, train: { host: "norms" } })).loss).not.toBe(loss);
  });

  test("on the heavy path of a routed layer, whose light path is the adapter", async () => {
    const model = await made({ mh_adapter: true });
    model.setRouting(coda({ reduction: 2, router: "strided" }));
    const { step, deviceError } = await checkStep(model, { ...classes, draft: half, train: { adapters: ["task"] } });
    expect(deviceError).toBeLessThan(1e-4);
    expect(placesOf(step.built.graph)).toBe(5);
  });
});

test("adapters side by side must have one rate", async () => {
  const model = await made({ dropout: 0.3 });
  await model.addAdapter("other", randomAdapter(model.host.shape, 2, { dropout: 0.2 }));
  model.setActive(batchSplit("task", "other", { batchSizes: [1, 2] }));
  const step = checkStep(model, { ...classes, train: { adapters: ["task"] } });
  await expect(step).rejects.toThrow("differ in dropout: task has 0.3, other has 0.2");
  // Where nothing is left out they run as ever.
  await model.run({ ids });
});

test("an evaluation leaves nothing out, and streams follow from places", async () => {
  const model = await made({ dropout: 0.5 }, { dropout_prob: 0.5 });
  await model.exclusive(async (inside) => {
    const ready = await inside.runner.ready(inside.request({ ids }, { outputs: ["heads.task"] }));
    const { graph } = buildEvaluation(ready, classes.objective, "heads #0");
    expect(graph.nodes.map(({ label }) => label)).not.toContain("dropout");
  });
  expect(streamOf("layers.3.ffn")).toBe(streamOf("layers.3.ffn"));
  const places = Array.from({ length: 24 }, (_, i) =>
    streamOf(`layers.${i >> 1}.${i % 2 === 0 ? "ffn" : "attention"}`),
  );
  expect(new Set(places).size).toBe(24);
});

describe("a trainer", () => {
  const options: TrainerOptions = {
    train: { adapters: ["task"], heads: ["task"] },
    head: "task",
    objective: { kind: "cross-entropy" },
    optimizer: { kind: "sgd", momentum: 0, weightDecay: 0, clip: null },
    seed: 11,
  };

  async function losses(change: Partial<TrainerOptions>, rate = 0): Promise<number[]> {
    const model = await made({ dropout: 0.4 }, { dropout_prob: 0.4 });
    const trainer = await Trainer.create(model, { ...options, ...change });
    const found: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const { loss } = await trainer.step([{ input: { ids }, targets: [2, 0, 1] }], { learningRate: rate });
      found.push(loss);
    }
    const { loss } = await trainer.evaluate({ input: { ids }, targets: [2, 0, 1] });
    await trainer.dispose();
    return [...found, loss];
  }

  test("draws other elements in every pass, the same ones from the same seed, none where it is told so", async () => {
    const first = await losses({});
    expect(new Set(first).size).toBe(4);
    expect(await losses({})).toEqual(first);
    expect(await losses({ seed: 12 })).not.toEqual(first);
    expect(new Set(await losses({ dropout: null })).size).toBe(1);
    expect((await losses({ dropout: null }))[0]).toBe(first[3]);
  });

  test("the same bits where layers are computed twice", async () => {
    expect(await losses({ recompute: true }, 0.1)).toEqual(await losses({}, 0.1));
  });

  test("a rate of 1 is refused", async () => {
    await expect(losses({ dropout: { head: 1 } })).rejects.toThrow("dropout: head is 1");
  });
});
