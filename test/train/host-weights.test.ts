/** @file Weights of the host as what is trained: every gradient end to end, tied tables once, what is left out, what is refused. */

import { afterEach, describe, expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import type { LoadOptions } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { RunInput } from "../../src/model/types.ts";
import { DIVISOR, HEAD_ROWS, HEAD_ROW_COUNT, TARGETS, labelledRows, objectiveOf } from "../../src/train/objectives.ts";
import { trainablesOf } from "../../src/train/trainable.ts";
import type { Trainable } from "../../src/train/trainable.ts";
import type { HostTargets } from "../../src/train/trainable-host.ts";
import { normal } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { IMAGES, plainCheckpoint, plainFolder } from "../hosts/vit-plain.ts";
import { tinyModel } from "../tiny-models.ts";
import { checkStep } from "./step-case.ts";
import type { StepCase } from "./step-case.ts";

const ids = [
  [3, 9, 27, 1, 14],
  [8, 2, 19],
];
const ROWS = 8;

const open: Model[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

async function model(family: string, extra: Record<string, unknown> = {}, options: LoadOptions = {}): Promise<Model> {
  const made = await loadFolder(await sharedGpu(), tinyModel(family, extra).folder, options);
  open.push(made);
  return made;
}

/** A step over the checkpoint's own head, or over an added one. */
function stepOf(input: RunInput, head: "default" | "task", labels: readonly number[]): Omit<StepCase, "train"> {
  return {
    input,
    outputs: [`heads.${head}`],
    objective: objectiveOf({ kind: "cross-entropy" }, head === "default" ? "heads.default" : "heads #0"),
    given: { [TARGETS]: Uint32Array.from(labels), [DIVISOR]: Uint32Array.of(labels.length) },
    moved: 4,
  };
}

async function stretchesOf(of: Model, host: HostTargets): Promise<readonly Trainable[]> {
  return of.exclusive((inside) => trainablesOf(inside, { host }));
}

/** tinyModel names no head: these tensors and architectures bring one. */
const tokenLabels = Array.from({ length: ROWS }, (_, row) => (row * 11 + 4) % 30);

describe("all weights, against central differences in float64", () => {
  test.each<[string, Record<string, unknown>]>([
    ["gpt2", { architectures: ["GPT2LMHeadModel"], n_layer: 1 }],
    ["bert", { architectures: ["BertForTokenClassification"], num_labels: 30, num_hidden_layers: 1 }],
  ])("%s and its head of tokens", async (family, extra) => {
    const of = await model(family, extra);
    const { deviceError, stretches, step } = await checkStep(of, {
      ...stepOf({ ids }, "default", tokenLabels),
      train: { host: "all" },
    });
    expect(stretches.map(({ parameter }) => parameter)).toEqual(of.host.weights.map(({ name }) => name));
    expect(new Set(step.gradients.map(({ parameter }) => parameter)).size).toBe(stretches.length);
    expect(deviceError).toBeLessThan(1e-4);
  });

  test("bert and the head of its masked language modelling, which reads labelled rows alone", async () => {
    const extra = { architectures: ["BertForMaskedLM"], num_hidden_layers: 1 };
    const present = ["cls.predictions.transform.dense.weight"];
    const of = await loadFolder(await sharedGpu(), tinyModel("bert", extra, 1, present).folder);
    open.push(of);
    const { given, ...step } = stepOf({ ids }, "default", [4, 17, 28]);
    const {
      deviceError,
      stretches,
      step: built,
    } = await checkStep(of, {
      ...step,
      given: { ...given, [HEAD_ROWS]: Uint32Array.of(1, 3, 6) },
      sizes: { [HEAD_ROW_COUNT.symbol]: 3 },
      draft: { headRows: labelledRows },
      train: { host: "all" },
    });
    expect(new Set(built.gradients.map(({ parameter }) => parameter)).size).toBe(stretches.length);
    expect(stretches.map(({ parameter }) => parameter)).toContain("embeddings.word");
    expect(deviceError).toBeLessThan(1e-4);
  });

  test("vit from its patches to its own head", async () => {
    const of = await loadFolder(await sharedGpu(), plainFolder(plainCheckpoint()));
    open.push(of);
    const { deviceError, stretches, step } = await checkStep(of, {
      ...stepOf({ images: IMAGES.slice(0, 2) }, "default", [1, 0]),
      moved: 3,
      train: { host: "all" },
    });
    const found = new Set(step.gradients.map(({ parameter }) => parameter));
    expect(stretches.map(({ parameter }) => parameter).filter((parameter) => !found.has(parameter))).toEqual([]);
    expect(deviceError).toBeLessThan(1e-4);
  });

  test("t5, gated, with its bias by distance", async () => {
    const of = await model("t5", { num_layers: 1 });
    await of.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 1 } });
    const { deviceError, step } = await checkStep(of, { ...stepOf({ ids }, "task", [2, 0]), train: { host: "all" } });
    expect(step.gradients.map(({ parameter }) => parameter)).toContain("bias.table");
    expect(deviceError).toBeLessThan(1e-4);
  });

  test("kwt from features, its class token among them; its front end is no weight", async () => {
    const of = await model("kwt", { num_hidden_layers: 1 });
    const features = [1, 2].map((seed) => ({ data: normal(seed, 7 * 5), shape: [7, 5] }));
    const { deviceError, stretches, step } = await checkStep(of, {
      ...stepOf({ features }, "default", [2, 0]),
      train: { host: "all" },
    });
    expect(step.gradients.map(({ parameter }) => parameter)).toContain("embeddings.class");
    expect(stretches.filter(({ parameter }) => parameter.startsWith("frontend"))).toEqual([]);
    expect(deviceError).toBeLessThan(1e-4);
  });

  test("albert: layers that share weights have one gradient", async () => {
    const of = await model("albert", { num_hidden_layers: 2 });
    await of.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 1 } });
    const { stretches, deviceError } = await checkStep(of, {
      ...stepOf({ ids }, "task", [2, 0]),
      train: { host: ["groups.", "embeddings.mapping"] },
    });
    expect(stretches.filter(({ parameter }) => parameter.endsWith("qkv.weight"))).toHaveLength(1);
    expect(deviceError).toBeLessThan(1e-4);
  });
});

describe("some weights", () => {
  test("norms alone, none of which decay; biases decay nowhere", async () => {
    const of = await model("bert");
    const norms = await stretchesOf(of, "norms");
    expect(norms.map(({ parameter }) => parameter)).toEqual([
      "embeddings.norm.weight",
      "embeddings.norm.bias",
      ...[0, 1].flatMap((layer) =>
        ["norm1", "norm2"].flatMap((name) => [`layers.${layer}.${name}.weight`, `layers.${layer}.${name}.bias`]),
      ),
    ]);
    expect(norms.flatMap(({ parts }) => parts.map(({ decays }) => decays))).toEqual(norms.map(() => false));
    const decaying = (await stretchesOf(of, "all")).filter(({ parts }) => parts[0]?.decays);
    expect(decaying.map(({ parameter }) => parameter)).toEqual([
      "embeddings.word",
      "embeddings.position",
      "embeddings.type",
      ...[0, 1].flatMap((layer) => ["qkv", "proj", "up", "down"].map((name) => `layers.${layer}.${name}.weight`)),
    ]);
  });

  test("of the upper layer: the lower one has no backward pass", async () => {
    const of = await model("bert");
    await of.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 1 } });
    const { step, deviceError } = await checkStep(of, {
      ...stepOf({ ids }, "task", [2, 0]),
      train: { host: ["layers.1.down.", "layers.1.norm2."] },
    });
    expect(step.gradients.map(({ parameter }) => parameter)).toEqual([
      "layers.1.down.weight",
      "layers.1.down.bias",
      "layers.1.norm2.weight",
      "layers.1.norm2.bias",
    ]);
    expect(step.built.graph.nodes.some(({ scope }) => scope.startsWith("backward.layers.0"))).toBe(false);
    expect(deviceError).toBeLessThan(1e-4);
  });

  test("a prefix that nothing has is refused with those that there are", async () => {
    const of = await model("bert");
    await expect(stretchesOf(of, ["layers.1.", "layer.0."])).rejects.toMatchObject({
      code: "UNKNOWN_NAME",
      fix: "name some of embeddings., layers.0., layers.1.",
    });
  });
});

describe("refused", () => {
  test("weights in half precision", async () => {
    const of = await model("bert", {}, { precision: "f16" });
    await expect(stretchesOf(of, "all")).rejects.toMatchObject({
      code: "UNSUPPORTED",
      fix: 'load the model with precision: "f32"',
    });
    // Norms are f32 in any case.
    expect(await stretchesOf(of, "norms")).toHaveLength(10);
  });

  test("weights that an adapter is merged into, or that a DoRA was made for", async () => {
    const of = await model("bert");
    await of.addAdapter("low", { config: { architecture: "lora", init_weights: "bert" } });
    await of.mergeAdapter("low");
    await expect(stretchesOf(of, "all")).rejects.toThrow("adapter low is merged into the host's weights");
    await of.unmergeAdapter("low");
    await of.addAdapter("turned", { config: { architecture: "lora", use_dora: true } });
    await expect(stretchesOf(of, "all")).rejects.toThrow("adapter turned is a DoRA");
  });
});
