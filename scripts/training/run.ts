/**
 * @file Runs trainings one after the other: `npx tsx scripts/training/run.ts SUITE`. A run that is finished is left alone, one that was
 * stopped goes on, and all that is finished is put together in one table.
 *
 * Each run says what it may take before it starts. Its configuration and results go to bench/results/training/SUITE/RUN, what it saves
 * and its checkpoints to --work. What stands behind SUITE: `--only RUN,RUN`, `--data FOLDER`, `--work FOLDER`, `--list`, and `--cut N` for
 * at most N examples and one epoch, which proves a suite in minutes.
 */

import { spawn } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { suites } from "./suites/index.ts";
import type { Run } from "./suite.ts";
import { tableOf } from "./table.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string", default: join(root, "../shared/data") },
    work: { type: "string", default: join(root, "training-work") },
    out: { type: "string", default: join(root, "bench/results/training") },
    only: { type: "string" },
    cut: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

/** The same training on few examples. */
function cutDown(config: Run["config"], examples: number): Run["config"] {
  const { data, steps: _, ...rest } = config;
  const limit = { train: examples, evaluation: examples, test: examples };
  return { ...rest, epochs: 1, data: { ...(data as object), limit, emptyClasses: "allow" } };
}

async function finished(folder: string): Promise<boolean> {
  return readFile(join(folder, "results.json")).then(
    () => true,
    () => false,
  );
}

/** Paths that stand for a place are put in: `{work}` for what earlier runs have saved, `{root}` for this checkout. */
function placed(text: string): string {
  const places: Readonly<Record<string, string>> = { "{work}": values.work, "{root}": root };
  return text.replaceAll(/\{work\}|\{root\}/g, (place) => places[place] as string);
}

/** The other way round: what is kept names no folder of this machine. */
function unplaced(text: string): string {
  return text.replaceAll(`${values.work}/`, "{work}/").replaceAll(root, "{root}");
}

/** Runs one training in a process of its own; the terminal is its. */
async function train(name: string, { id, config }: Run): Promise<number> {
  const folder = join(values.out, name, id);
  const work = join(values.work, name, id);
  await mkdir(folder, { recursive: true });
  await mkdir(work, { recursive: true });
  const cut = values.cut === undefined ? config : cutDown(config, Number(values.cut));
  const text = `${JSON.stringify({ name: `${name} ${id}`, ...cut }, null, 2)}\n`;
  await writeFile(join(folder, "train.json"), text);
  await writeFile(join(work, "train.json"), placed(text));
  const given = ["--config", join(work, "train.json"), "--root", values.data, "--out", work];
  const args = ["--import", "tsx", join(root, "src/cli/main.ts"), "train", ...given];
  const child = spawn(process.execPath, args, { stdio: ["inherit", "ignore", "inherit"], cwd: root });
  const code = await new Promise<number>((resolve) => child.once("exit", (exit) => resolve(exit ?? 1)));
  if (code === 0) {
    await copyFile(join(work, "metrics.jsonl"), join(folder, "metrics.jsonl"));
    await writeFile(join(folder, "results.json"), unplaced(await readFile(join(work, "results.json"), "utf8")));
  }
  return code;
}

async function main(): Promise<number> {
  const [name = ""] = positionals;
  const suite = suites[name];
  if (suite === undefined) {
    console.error(`usage: tsx scripts/training/run.ts ${Object.keys(suites).join("|")} [options]`);
    return 2;
  }
  const only = values.only?.split(",");
  const runs = suite.runs.filter(({ id }) => only === undefined || only.includes(id));
  const minutes = runs.reduce((sum, run) => sum + (run.minutes ?? 0), 0);
  const budget = minutes === 0 ? "for a GPU" : `allowed ${minutes} minutes of a software adapter on two cores`;
  console.error(`${name}: ${runs.length} runs, ${budget}`);
  for (const run of runs) {
    const done = await finished(join(values.out, name, run.id));
    const allowed = run.minutes === null ? "" : `; allowed ${run.minutes} minutes`;
    console.error(`\n${run.id}: ${run.about}${allowed}${done ? "; finished" : ""}`);
    if (done || values.list) continue;
    const code = await train(name, run);
    if (code !== 0) return code;
    await writeFile(join(values.out, name, "table.md"), await tableOf(join(values.out, name), suite));
  }
  return 0;
}

// Ctrl-C reaches the training as well: it writes a checkpoint and stops, and so does this.
process.on("SIGINT", () => undefined);
process.exitCode = await main();
