/** @file The trainings of scripts/training: every configuration is valid, and builds on nothing that does not come before it. */

import { describe, expect, test } from "vitest";
import { suites } from "../../scripts/training/suites/index.ts";
import { readTrainConfig } from "../../src/train/config/config.ts";

describe.each(Object.entries(suites))("%s", (name, { runs, measure }) => {
  test("every run is valid, has a name of its own, and measures what the table shows", () => {
    expect(new Set(runs.map(({ id }) => id)).size).toBe(runs.length);
    for (const { id, config } of runs) {
      const { evaluation, objective } = readTrainConfig(config, id);
      if (objective.kind !== "masked-language-modelling") expect([id, evaluation.metric]).toEqual([id, measure]);
    }
  });

  test("what a run builds on was trained before, under the name that it asks for", () => {
    const saved = new Set<string>();
    for (const { id, config } of runs) {
      const text = JSON.stringify(config);
      for (const [, suite, place] of text.matchAll(/\{work\}\/([\w-]+)\/([\w./-]+)/g)) {
        expect(suite).toBe(name);
        expect([...saved], `${id} asks for ${place}`).toContain(place);
      }
      const { train } = readTrainConfig(config, id);
      for (const adapter of train.adapters) saved.add(`${id}/adapters/${adapter}`);
      if (train.routers) saved.add(`${id}/routers.safetensors`);
      if (train.host !== null) saved.add(`${id}/model`);
    }
  });

  test("states what it may take, or that it is for a GPU", () => {
    const stated = runs.filter(({ minutes }) => minutes !== null);
    expect([0, runs.length]).toContain(stated.length);
    expect(stated.length === 0).toBe(name.endsWith("-gpu"));
  });
});
