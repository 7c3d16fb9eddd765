/** @file The main job on a tiny model: verified, timed, sentence by sentence, with a page and public test sets where they are. */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareModel } from "../../src/bench/model-truth.ts";
import { runTask } from "../../src/bench/task-run.ts";
import { startJob } from "../../src/cli/start/job.ts";
import type { StartRequest } from "../../src/cli/start/job.ts";
import { startCommand } from "../../src/cli/start/start.ts";
import { hasPublicData, publicScores } from "../../src/cli/start/public.ts";
import { loadStartModel, readExamples } from "../../src/cli/start/tasks.ts";
import type { StartModel, StartTask } from "../../src/cli/start/tasks.ts";
import { loadModel, saveAdapter, saveHead, saveRouters } from "../../src/node.ts";
import { coda } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { captureIo, useFolder, writeTinyModel } from "./fixture.ts";
import { sentences } from "./train-fixture.ts";

const folder = useFolder();
const names = ["animals", "pets"];
const labels = ["cat", "dog"];
/** No text twice, so that each can be looked for. */
const own = [...new Map(sentences(24, 3).map((one) => [one.text, one])).values()].slice(0, 6);

/** A model of two tasks with fresh parts, and sentences of both. */
async function writeStartModel(path: string): Promise<void> {
  await writeTinyModel(path);
  const model = await loadModel(await sharedGpu(), path);
  for (const [index, name] of names.flatMap((task) => [`${task}-dense`, task]).entries()) {
    await model.addAdapter(name, { config: "coda", seed: index });
    const label2id = Object.fromEntries(labels.map((label, id) => [label, id]));
    await model.addHead(name, { config: { head_type: "classification", num_labels: 2, label2id }, seed: index + 5 });
    await saveAdapter(model, name, join(path, "adapters", name), { precision: "f16" });
    await saveHead(model, name, join(path, "adapters", name), { precision: "f16" });
    if (!names.includes(name)) continue;
    model.setActive(name);
    model.setRouting(coda({ reduction: 2, seed: index }));
    await saveRouters(model, join(path, "routers", `${name}.safetensors`));
    model.setRouting(null);
  }
  await model.dispose();
  const data = (name: string): object => ({
    kind: "labelled-lines",
    train: { lines: `${name}.txt` },
    classes: 2,
    split: { test: 0.5 },
  });
  const tasks = Object.fromEntries(
    names.map((name) => [name, { about: `about ${name}`, dense: `${name}-dense`, data: data(name) }]),
  );
  await writeFile(join(path, "tasks.json"), JSON.stringify({ tasks }));
}

function table(rows: readonly (readonly [string, string, string])[]): string {
  return ["task\tlabel\ttext", ...rows.map((row) => row.join("\t")), ""].join("\n");
}

let start: StartModel;
beforeAll(async () => {
  await writeStartModel(folder.file("model"));
  const rows = own.flatMap(({ text, label }) => names.map((name) => [name, label, text] as const));
  await writeFile(folder.file("sentences.tsv"), table(rows));
  start = await loadStartModel(await sharedGpu(), folder.file("model"));
});
afterAll(async () => start.model.dispose());

const task = (name: string): StartTask => start.tasks.find((one) => one.name === name) as StartTask;

/** The job without the doctor, which has tests of its own. */
async function job(changes: Partial<StartRequest>): Promise<{ held: boolean; out: string }> {
  const { io, out } = captureIo();
  const request = {
    model: folder.file("model"),
    examples: folder.file("sentences.tsv"),
    report: folder.file("report.html"),
    data: folder.file("nowhere"),
    json: false,
    ...changes,
  };
  return { held: await startJob(await sharedGpu(), request, io), out: out.join("") };
}

test("the job shows every sentence, verifies, times, and writes the page", async () => {
  const page = folder.file("page.html");
  const { held, out } = await job({ report: page });
  expect(held).toBe(true);
  for (const { text } of own) expect(out.split(`\n${text}  `)).toHaveLength(3);
  for (const name of names) {
    expect(out).toContain(`${name}: about ${name}`);
    expect(out).toMatch(new RegExp(`${name} dense +[\\d.,]+ .* of 6`));
    expect(out).toMatch(new RegExp(`${name} routed +[\\d.,]+ .* of 6`));
  }
  expect(out).not.toContain("public test set");
  const html = await readFile(page, "utf8");
  for (const { text } of own) expect(html).toContain(text);
});

test("as JSON, with the public test sets where they are", async () => {
  const data = folder.file("data");
  await mkdir(data);
  const lines = sentences(40, 8).map(({ text, label }) => `${labels.indexOf(label)} ${text}\n`);
  await writeFile(join(data, "pets.txt"), lines.join(""));
  expect([hasPublicData(data, task("animals")), hasPublicData(data, task("pets"))]).toEqual([false, true]);
  const { held, out } = await job({ data, json: true });
  expect(held).toBe(true);
  const report = JSON.parse(out) as {
    settings: { start: { public: Record<string, unknown> } };
    rows: { name: string; key: { right: number; tokens: number }; verified: { ok: boolean }; timing: object }[];
  };
  expect(report.rows.map(({ name }) => name)).toEqual(names.flatMap((name) => [`${name} dense`, `${name} routed`]));
  expect(report.rows.every(({ verified, timing }) => verified.ok && timing !== undefined)).toBe(true);
  // What is counted one by one is what the batches gave.
  const { examples, dense } = await publicScores(start.model, task("pets"), data, captureIo().io);
  expect(JSON.stringify(report.settings)).toContain(`"pets":{"examples":${examples},"dense":${dense}`);
  expect(examples).toBeGreaterThan(5);
  expect(examples).toBeLessThan(35);
});

test("public data that are named and not there are refused before anything runs", async () => {
  const { io, out } = captureIo();
  const args = ["--data", folder.file("nowhere"), "--report", folder.file("page.html")];
  await expect(startCommand.run(args, io)).rejects.toThrow(`--data: there is no ${folder.file("nowhere")}`);
  expect(out).toEqual([]);
});

describe("verification", () => {
  const texts = own.map(({ text }) => text);
  const options = { outputs: ["heads.pets", "routing"] };
  const call = { input: { texts }, options, bottleneck: 1 };

  test("finds a wrong logit, a wrong weight of a router and a wrong row", async () => {
    const { model } = start;
    model.setActive("pets");
    model.setRouting(task("pets").routing);
    const run = await model.run({ texts }, options);
    expect((await compareModel(model, call, run)).ok).toBe(true);
    const [layer] = run.routing ?? [];
    for (const values of [run.heads.pets?.data, layer?.weights, layer?.scores]) {
      const before = values?.[1] as number;
      (values as Float32Array)[1] = before + 0.01;
      expect((await compareModel(model, call, run)).ok).toBe(false);
      (values as Float32Array)[1] = before;
    }
    const rows = layer?.selected as Uint32Array;
    const missing = Array.from({ length: 9 }, (_, row) => row).find((row) => !rows.includes(row)) as number;
    const before = rows.slice();
    rows.set(Uint32Array.from([...rows.subarray(1), missing]).sort());
    expect((await compareModel(model, call, run)).ok).toBe(false);
    rows.set(before);
    model.setRouting(null);
  });

  test("runs a task dense and routed, and leaves the model as it was", async () => {
    const { model } = start;
    const { dense: plain, name, routing } = task("animals");
    const work = { dense: plain, routed: name, texts, routing };
    const { dense, routed } = await runTask(model, work, { warmup: 0, rounds: 2 }, { progress: () => undefined });
    expect(Object.keys(dense.output.heads)).toEqual(["animals-dense"]);
    expect(Object.keys(routed.output.heads)).toEqual(["animals"]);
    model.setActive("animals-dense");
    const again = await model.run({ texts }, { outputs: ["heads.animals-dense"] });
    model.setActive(null);
    expect(dense.output.heads["animals-dense"]?.data).toEqual(again.heads["animals-dense"]?.data);
    expect(dense.output.routing).toBeNull();
    expect(routed.output.routing?.every((layer) => layer?.trained)).toBe(true);
    expect([dense, routed].every(({ timing }) => timing.samples.length === 2 && timing.verdict.ok)).toBe(true);
    expect([...dense.predicted, ...routed.predicted].every((label) => label === 0 || label === 1)).toBe(true);
    expect([model.active, model.contents.routing]).toEqual([null, null]);
  });
});

describe("sentences are refused by their line", () => {
  test.each([
    ["another header", "a\tb\tc\n", ":1: the header"],
    ["an unknown task", table([["plants", "cat", "x"]]), ':2: there is no task "plants"'],
    [
      "an unknown label",
      table([
        ["pets", "cat", "x"],
        ["pets", "cow", "x"],
      ]),
      ':3: pets has no label "cow"',
    ],
    ["no text", table([["pets", "cat", ""]]), ":2: there is no text"],
  ])("%s", async (_, text, message) => {
    const path = folder.file("bad.tsv");
    await writeFile(path, text);
    await expect(readExamples(path, start.tasks)).rejects.toThrow(`${path}${message}`);
  });
});
