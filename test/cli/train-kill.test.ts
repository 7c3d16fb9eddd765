/** @file A training whose process is killed, at any moment and more than once, ends with the same bits as one that nobody disturbed. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { commandLine, useFolder } from "./fixture.ts";
import { metricsOf, weightsOf, writeTraining } from "./train-fixture.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = useFolder();

/** Everything that draws numbers or keeps something between steps: order, dropout, momenta, parts of a step, routers. */
const changes = {
  steps: 60,
  batch: { tokens: 30, accumulate: 2 },
  routing: { reduction: 2, epsilon: 0.5 },
  evaluation: { every: 9, patience: 50 },
  checkpoint: { every: 2 },
  data: { kind: "table", train: { table: "train.tsv" }, evaluation: { table: "evaluation.tsv" } },
};

let config = "";
beforeAll(async () => {
  config = await writeTraining(folder.path, changes);
});

function start(out: string): ChildProcess {
  const args = ["--import", "tsx", "src/cli/main.ts", "train", "--config", config, "--out", out];
  return spawn(process.execPath, args, { cwd: root, stdio: "ignore" });
}

const ended = (child: ChildProcess): Promise<{ code: number | null; signal: string | null }> =>
  new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));

/** Waits until the metrics say that a step was done, or the process has ended. */
async function untilStep(out: string, step: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const text = await readFile(join(out, "metrics.jsonl"), "utf8").catch(() => "");
    if (text.includes(`"step":${step},`)) return;
    await new Promise((later) => setTimeout(later, 1));
  }
}

test("a killed training goes on to the same bits, and its metrics have every line once", async () => {
  const whole = folder.file("whole");
  expect(await commandLine(["train", "--config", config, "--out", whole])).toMatchObject({ code: 0 });
  const out = folder.file("killed");
  for (const step of [3, 19]) {
    const child = start(out);
    const over = ended(child);
    await untilStep(out, step, child);
    child.kill("SIGKILL");
    expect(await over).toEqual({ code: null, signal: "SIGKILL" });
  }
  const { code, err } = await commandLine(["train", "--config", config, "--out", out]);
  expect(code, err).toBe(0);
  expect(err).toMatch(/going on from step \d+ of 60/);
  const weights = await weightsOf(out);
  expect([...weights.keys()]).toEqual([
    "adapters/animal/adapter.safetensors",
    "adapters/animal/model_head.safetensors",
    "routers.safetensors",
  ]);
  expect(weights).toEqual(await weightsOf(whole));
  expect(await metricsOf(out)).toEqual(await metricsOf(whole));
  const files = await readdir(join(out, "checkpoints"));
  expect(files.filter((name) => name.endsWith(".safetensors")).length).toBeLessThanOrEqual(3);
}, 600_000);
