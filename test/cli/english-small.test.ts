/** @file The model that comes along: small, right on two of three sentences that nobody trained on, and its card says what was measured. */

import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answersOf } from "../../src/bench/task-run.ts";
import { loadStartModel, readExamples } from "../../src/cli/start/tasks.ts";
import type { Example, StartModel } from "../../src/cli/start/tasks.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = join(root, "models/english-small");
const MOST_BYTES = 12_000_000;

let start: StartModel;
let examples: ReadonlyMap<string, readonly Example[]>;
beforeAll(async () => {
  start = await loadStartModel(await sharedGpu(), folder);
  examples = await readExamples(join(root, "examples/sentences.tsv"), start.tasks);
});
afterAll(async () => start.model.dispose());

test("takes at most 12 MB, card and all", async () => {
  const files = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(files.map(async (file) => stat(join(folder, file))));
  const bytes = sizes.reduce((sum, one) => sum + (one.isFile() ? one.size : 0), 0);
  expect(bytes).toBeGreaterThan(1_000_000);
  expect(bytes).toBeLessThanOrEqual(MOST_BYTES);
});

test("is shown on at least 60 sentences, of every class at least three", () => {
  const all = [...examples.values()].flat();
  expect(all.length).toBeGreaterThanOrEqual(60);
  expect(new Set(all.map(({ text }) => text)).size).toBe(all.length);
  for (const { name, labels } of start.tasks)
    for (const label of labels)
      expect(examples.get(name)?.filter((one) => one.label === label).length, `${name} ${label}`).toBeGreaterThan(2);
});

describe.each(["intents", "questions", "sentences"])("%s", (name) => {
  test.each(["dense", "routed"])("%s, is right on two sentences of three", async (form) => {
    const { model, tasks } = start;
    const task = tasks.find((one) => one.name === name);
    const asked = examples.get(name) ?? [];
    const adapter = form === "routed" ? name : (task?.dense ?? "");
    model.setActive(adapter);
    model.setRouting(form === "routed" ? (task?.routing ?? null) : null);
    const output = await model.run({ texts: asked.map(({ text }) => text) }, { outputs: [`heads.${adapter}`] });
    model.setRouting(null);
    model.setActive(null);
    const right = [...answersOf(output, adapter)].filter((answer, at) => task?.labels[answer] === asked[at]?.label);
    // Chance is at a half or less.
    expect(right.length / asked.length).toBeGreaterThan(2 / 3);
  });
});

test("its card quotes the test scores of the runs that it is made of", async () => {
  const card = await readFile(join(folder, "README.md"), "utf8");
  const runs = [...card.matchAll(/^\| `(\w+)` \|.*\| `([\w-]+)` \| ([\d.]+) % \|$/gm)];
  expect(runs.map(([, name]) => name)).toEqual(start.tasks.map(({ name }) => name));
  for (const [, , id, percent] of runs) {
    const results = join(root, "bench/results/training/language", id as string, "results.json");
    const { test: scores } = JSON.parse(await readFile(results, "utf8")) as { test: { accuracy: number } };
    expect(percent).toBe((100 * scores.accuracy).toFixed(1));
  }
});
