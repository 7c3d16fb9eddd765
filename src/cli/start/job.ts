/** @file The main job: sentences of several tasks through one small model, dense and routed, verified, timed and shown. */

import { basename } from "node:path";
import { part } from "../../bench/harness.ts";
import { verificationHeld } from "../../bench/report.ts";
import { runTask } from "../../bench/task-run.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { renderRoutingReport } from "../../routing/report.ts";
import { traceOf } from "../../routing/trace.ts";
import { benchContext } from "../bench/bench.ts";
import { formatDevice, formatRows, makeReport, reportJson } from "../bench/report.ts";
import type { Io } from "../command.ts";
import { deviceName } from "../device.ts";
import { writeWhole } from "../files.ts";
import { routeLine, routeRecord } from "../route-option.ts";
import { hasPublicData, publicScores } from "./public.ts";
import type { PublicScores } from "./public.ts";
import { sentenceTable, taskRows, taskTrace, tokensOf } from "./report.ts";
import type { ShownTask } from "./report.ts";
import { loadStartModel, readExamples } from "./tasks.ts";
import type { StartModel } from "./tasks.ts";
import { formatPercent, formatTable } from "../text.ts";

const ABOUT_SOFTWARE =
  "This adapter is software: the times are those of a CPU that imitates a GPU, tens of times slower than the CPU's own libraries; what carries over is that results are right and how times compare.";

const COLUMNS =
  "heavy tokens: the share that took the frozen layers, all others took the adapter alone. speed-up: over dense, which has an adapter of the same size, trained for it; paired round by round.";

const REPEATS = { warmup: 1, rounds: 5 };

/** What is shown, and where it goes. */
export interface StartRequest {
  readonly model: string;
  readonly examples: string;
  readonly report: string;
  /** A folder with public data; it need not be there. */
  readonly data: string;
  readonly json: boolean;
}

/** Classifies all sentences, task by task. */
async function classify({ model, tasks }: StartModel, { examples: path }: StartRequest, io: Io): Promise<ShownTask[]> {
  const sentences = await readExamples(path, tasks);
  const asked = tasks.filter(({ name }) => (sentences.get(name) ?? []).length > 0);
  const { context, finish } = benchContext(io, "start");
  try {
    const shown: ShownTask[] = [];
    for (const [index, task] of asked.entries()) {
      const examples = sentences.get(task.name) ?? [];
      const work = {
        dense: task.dense,
        routed: task.name,
        texts: examples.map(({ text }) => text),
        routing: task.routing,
      };
      const result = await runTask(model, work, REPEATS, part(context, index, asked.length));
      shown.push({ task, examples, result, tokens: tokensOf(model, examples) });
    }
    return shown;
  } finally {
    finish();
  }
}

/** Scores on the public test sets that are there, by task. */
async function publicTests({ model, tasks }: StartModel, data: string, io: Io): Promise<Record<string, PublicScores>> {
  const scores: Record<string, PublicScores> = {};
  for (const task of tasks)
    if (hasPublicData(data, task)) scores[task.name] = await publicScores(model, task, data, io);
  return scores;
}

function publicTable(scores: Readonly<Record<string, PublicScores>>): string {
  const lines = Object.entries(scores).map(([name, { examples, dense, routed }]) => [
    name,
    String(examples),
    formatPercent(dense),
    formatPercent(routed),
  ]);
  return formatTable(
    [["public test set", "sentences", "dense", "routed"], ...lines],
    ["left", "right", "right", "right"],
  );
}

async function writePage(
  shown: readonly ShownTask[],
  gpu: Gpu,
  { model }: StartModel,
  { model: folder, report: path }: StartRequest,
): Promise<void> {
  const [first] = shown;
  const settings = first === undefined ? {} : routeRecord(first.task.routing);
  const head = { model: basename(folder), device: deviceName(gpu.info), settings };
  const sequences = shown.flatMap((task) => taskTrace(task, head));
  await writeWhole(path, renderRoutingReport(traceOf(head, model.host.shape.layers, sequences)));
}

/**
 * Does the main job and prints what came out.
 * @returns whether everything agreed with float64
 * @throws EngineError for a model or sentences that cannot be read
 */
export async function startJob(gpu: Gpu, request: StartRequest, io: Io): Promise<boolean> {
  const say = (text: string): unknown => (request.json ? io.stderr : io.stdout).write(`${text}\n`);
  const loaded = await loadStartModel(gpu, request.model);
  try {
    const shown = await classify(loaded, request, io);
    const scores = await publicTests(loaded, request.data, io);
    await writePage(shown, gpu, loaded, request);
    const rows = shown.flatMap(taskRows);
    const settings = { model: request.model, examples: request.examples, ...REPEATS, public: scores };
    const report = makeReport(gpu, "start", { start: { rows, notes: [], settings } });
    const held = verificationHeld(rows);
    if (request.json) io.stdout.write(reportJson(report));
    else {
      say(`device: ${formatDevice(report)}\n`);
      for (const one of shown)
        say(`${one.task.name}: ${one.task.about}; ${routeLine(one.task.routing)}\n\n${sentenceTable(one)}\n`);
      say(
        `verified against float64, then ${REPEATS.warmup} warm-up and ${REPEATS.rounds} interleaved rounds; median, p10–p90\n`,
      );
      say(`${formatRows(rows)}\n`);
      say(COLUMNS);
      if (Object.keys(scores).length > 0) say(`\n${publicTable(scores)}\n`);
      if (report.software) say(ABOUT_SOFTWARE);
    }
    say(`the routing of every sentence: ${request.report}`);
    return held;
  } finally {
    await loaded.model.dispose();
  }
}
