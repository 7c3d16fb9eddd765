/**
 * @file Puts the model together that comes along with this package: `npx tsx scripts/training/ship.ts`, after the suite `language`.
 *
 * The encoder of the pretraining, and of every task the routed adapter of the seed that was best on the evaluation set, with its head and
 * its routers, and the dense one to compare with, in half precision, into models/english-small. Options: `--work FOLDER` and
 * `--results FOLDER` as run.ts has them, `--out FOLDER`.
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadModel, loadRouters, openGpu, saveAdapter, saveHead, saveModel, saveRouters } from "../../src/node.ts";
import type { Model } from "../../src/node.ts";
import { languageTasks } from "./language-runs.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const SUITE = "language";
const SEEDS = [1, 2, 3];

const { values } = parseArgs({
  options: {
    work: { type: "string", default: join(root, "training-work") },
    results: { type: "string", default: join(root, "bench/results/training") },
    out: { type: "string", default: join(root, "models/english-small") },
  },
});

/** A task as users meet it. */
interface ShippedTask {
  /** Its name in the suite. */
  readonly trained: string;
  readonly about: string;
  /** Names of classes that the data numbers. */
  readonly labels?: readonly string[];
}

const TASKS: Readonly<Record<string, ShippedTask>> = {
  intents: { trained: "snips", about: "what a sentence asks an assistant for (Snips)" },
  questions: {
    trained: "trec",
    about: "what a question asks for (TREC)",
    labels: ["DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"],
  },
  sentences: {
    trained: "subj",
    about: "whether a sentence of a film's review tells or judges (SUBJ)",
    labels: ["subjective", "objective"],
  },
};

const denseOf = (name: string): string => `${name}-dense`;

/** The run of the seed that was best while it was trained. Test sets choose nothing. */
async function bestRun(task: string): Promise<string> {
  const runs = await Promise.all(
    SEEDS.map(async (seed) => {
      const id = `${task}-coda-seed${seed}`;
      const text = await readFile(join(values.results, SUITE, id, "results.json"), "utf8");
      return { id, value: (JSON.parse(text) as { best: { value: number } }).best.value };
    }),
  );
  return runs.reduce((best, one) => (one.value > best.value ? one : best)).id;
}

/** Writes what a run has trained under another name, which stays active. */
async function shipAdapter(model: Model, name: string, run: string, { trained, labels }: ShippedTask): Promise<void> {
  await model.addAdapter(name, join(run, "adapters", trained));
  if (labels !== undefined) {
    const { config, tensors } = model.contents.head(name);
    model.removeHead(name);
    const label2id = Object.fromEntries(labels.map((label, index) => [label, index]));
    await model.addHead(name, { config: { ...config, label2id }, tensors });
  }
  const folder = join(values.out, "adapters", name);
  const half = { precision: "f16", modelName: "english-small" } as const;
  await saveAdapter(model, name, folder, half);
  await saveHead(model, name, folder, half);
  model.setActive(name);
}

async function shipTask(model: Model, name: string, task: ShippedTask): Promise<void> {
  const folderOf = (run: string): string => join(values.work, SUITE, run);
  await shipAdapter(model, denseOf(name), folderOf(`${task.trained}-dense-seed1`), task);
  const run = folderOf(await bestRun(task.trained));
  await shipAdapter(model, name, run, task);
  model.setRouting(await loadRouters(join(run, "routers.safetensors")));
  await saveRouters(model, join(values.out, "routers", `${name}.safetensors`));
  model.setRouting(null);
}

const gpu = await openGpu({ adapter: "auto" });
const model = await loadModel(gpu, join(values.work, SUITE, "pretraining/model"));
await saveModel(model, values.out, { precision: "f16" });
for (const [name, task] of Object.entries(TASKS)) await shipTask(model, name, task);
const tasks = Object.entries(TASKS).map(([name, { trained, about }]) => [
  name,
  { about, dense: denseOf(name), data: { ...languageTasks[trained]?.data, long: "cut" } },
]);
await writeFile(join(values.out, "tasks.json"), `${JSON.stringify({ tasks: Object.fromEntries(tasks) }, null, 2)}\n`);
await model.dispose();
await gpu.dispose();
