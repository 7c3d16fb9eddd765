/** @file Gradients of whole training steps, end to end, and what a backward pass leaves out. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { coda } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import { checkStep, classes } from "./step-case.ts";

describe("a step of a small BERT", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadFolder(await sharedGpu(), tinyModel("bert").folder);
    await model.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 2 } });
  });
  afterAll(async () => model?.dispose());

  test.each([
    ["pfeiffer", "seq_bn"],
    ["houlsby", "double_seq_bn"],
    ["parallel", "par_bn"],
  ])("%s adapters and a head", async (name, preset) => {
    await model.addAdapter(name, preset);
    model.setActive(name);
    const { deviceError, stretches } = await checkStep(model, {
      ...classes,
      train: { adapters: [name], heads: ["task"] },
    });
    expect(stretches.length).toBeGreaterThan(4);
    expect(deviceError).toBeLessThan(1e-4);
  });

  test.each(["k-to-k", "k-to-all"] as const)("learned routers with their adapters, %s", async (attention) => {
    model.setActive("parallel");
    for (const softTopK of ["paper", "exact"] as const) {
      model.setRouting(coda({ reduction: 2, attention, softTopK, epsilon: 0.5 }));
      const train = { adapters: ["parallel"], heads: ["task"], routers: true };
      const { deviceError } = await checkStep(model, { ...classes, train });
      expect(deviceError).toBeLessThan(1e-4);
    }
    model.setRouting(null);
  });

  test("a head alone has no backward pass through the host", async () => {
    model.setActive(null);
    const { step } = await checkStep(model, { ...classes, train: { heads: ["task"] } });
    const scopes = step.built.graph.nodes.map(({ scope }) => scope);
    expect(scopes.some((scope) => scope.startsWith("layers.1"))).toBe(true);
    expect(scopes.filter((scope) => scope.startsWith("backward.layers"))).toEqual([]);
  });

  test("layers below the lowest adapter have none either", async () => {
    model.setActive("pfeiffer");
    model.dropAdapters({ layers: 1 });
    const { step } = await checkStep(model, { ...classes, train: { adapters: ["pfeiffer"], heads: ["task"] } });
    model.dropAdapters(null);
    const scopes = step.built.graph.nodes.map(({ scope }) => scope);
    expect(scopes.some((scope) => scope.startsWith("backward.layers.1"))).toBe(true);
    expect(scopes.filter((scope) => scope.startsWith("backward.layers.0"))).toEqual([]);
  });
});
