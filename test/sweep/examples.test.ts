/** @file The configurations that are shown and shipped are valid, and read the real data sets rightly. */

import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readBatches, readConfidences } from "../../src/cli/sweep/data.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { folderFromPath } from "../../src/node/folder.ts";
import { confidenceError, prepublish } from "../../src/sweep/confidence.ts";
import { readSweepConfig } from "../../src/sweep/config.ts";
import type { SweepConfig } from "../../src/sweep/config.ts";
import { runDense } from "../../src/sweep/dense.ts";
import { evaluate } from "../../src/sweep/evaluate.ts";
import type { ReadyBatch } from "../../src/sweep/evaluate.ts";
import { metricOf } from "../../src/sweep/metric.ts";
import { densePoint } from "../../src/sweep/settings.ts";
import { dataFolder, dataPath, missing } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { signal } = new AbortController();

function shipped(name: string): SweepConfig {
  return readSweepConfig(JSON.parse(readFileSync(`${root}scripts/sweeps/${name}`, "utf8")), name);
}

/** The same sweep on a few of its sequences. */
function thin(name: string, every: number, limit: number): SweepConfig {
  const config = shipped(name);
  return { ...config, data: { ...config.data, every, limit } };
}

async function load({ model }: SweepConfig): Promise<Model> {
  const inline = typeof model.config === "object" && model.config !== null ? { config: model.config } : {};
  return loadFolder(await sharedGpu(), folderFromPath(dataPath(model.folder)), inline);
}

/** The measures of the dense model. */
async function denseMetrics(config: SweepConfig, model: Model): Promise<Readonly<Record<string, number>>> {
  const { batches } = await readBatches(config, dataFolder, model);
  const metric = metricOf(config.task);
  const ready: ReadyBatch[] = [];
  for (const batch of batches) {
    const { dense } = await runDense(model, batch, metric, { changes: false, signal });
    ready.push({ batch, dense });
  }
  return (await evaluate(model, densePoint, ready, { metric, signal })).metrics;
}

test.each(readdirSync(`${root}scripts/sweeps`))("%s is valid", (name) => {
  expect(shipped(name).axes.router).toHaveLength(12);
});

test("the example of docs/sweep.md is valid", () => {
  const [, json = ""] = /```json\n([\s\S]*?)```/.exec(readFileSync(`${root}docs/sweep.md`, "utf8")) ?? [];
  expect(readSweepConfig(JSON.parse(json), "x").task).toEqual({ metric: "accuracy", head: "default" });
});

describe.skipIf(missing("mnist-vit-tiny") || missing("mnist-t10k"))("MNIST", () => {
  test("images and labels belong together", async () => {
    const config = thin("mnist-vit.json", 3, 100);
    const model = await load(config);
    const { accuracy } = await denseMetrics(config, model);
    await model.dispose();
    // 83.97 % on all 10,000 (SOURCE.md); labels of other images would give 10 %.
    expect(accuracy).toBeGreaterThan(0.7);
  });
});

describe.skipIf(missing("kwt1-speech-commands"))("speech commands", () => {
  test("clips and labels belong together", async () => {
    const config = thin("kwt.json", 37, 11);
    const model = await load(config);
    const { accuracy } = await denseMetrics(config, model);
    await model.dispose();
    // 353 of 360 keywords are right (SOURCE.md): two wrong of eleven would be rare.
    expect(accuracy).toBeGreaterThan(0.8);
  });
});

describe.skipIf(missing("rxnmapper-albert"))("reactions", () => {
  test("have the published confidences in the dense model", async () => {
    const config = thin("rxnmapper.json", 300, 2);
    const { task } = config;
    if (task.metric !== "mapping-agreement") throw new Error("another task");
    const model = await load(config);
    const metric = metricOf(task);
    expect(await denseMetrics(config, model)).toEqual({ "mapping-agreement": 1, "hidden-error": 0 });
    const reactions = await readConfidences(config, dataFolder);
    const published = await prepublish(model, reactions, task, { metric, signal, changes: false });
    const error = await confidenceError(model, densePoint, published, { metric, signal });
    await model.dispose();
    // Published numbers are float32; a numpy pass in float64 comes within 4e-7 (reference.json).
    expect(error).toBeLessThan(1e-5);
  });
});
