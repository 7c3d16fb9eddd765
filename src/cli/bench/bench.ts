/** @file `bench`: suites that verify before they time, as a table and as JSON. */

import { missed, verificationHeld } from "../../bench/report.ts";
import type { SuiteResult } from "../../bench/report.ts";
import type { BenchContext } from "../../bench/harness.ts";
import type { Suite, SuiteOptions } from "../../bench/suite.ts";
import { suites } from "../../bench/suites.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { loadModel } from "../../node.ts";
import { FileJournal, journalPath } from "./journal.ts";
import { formatDevice, formatTables, makeReport, reportJson } from "./report.ts";
import type { Command, Io } from "../command.ts";
import { deviceChoices, openDevice } from "../device.ts";
import { checkTarget, writeWhole } from "../files.ts";
import { listOf, oneOf, readOptions, usageError, wholeNumber } from "../options.ts";
import { startProgress } from "../progress.ts";

function listSuites(): string {
  const width = Math.max(...suites.map(({ name }) => name.length));
  const lines = suites.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return ["suites:", ...lines, `  ${"all".padEnd(width)}  these one after the other`, ""].join("\n");
}

const routingParts = suites.flatMap(({ parts = [] }) => parts).join(", ");

const HELP = `usage: adapters-webgpu bench [suite] [options]

Verifies every candidate against float64, then times the candidates in turns, so that ratios come
from one run. Without a suite: lists them.

${listSuites()}
  --json FILE                        the report as JSON; - is stdout. Without a suite: runs all
  --full                             more shapes and forms; may take longer than five minutes
  --only PART[,PART]                 parts of the suite routing: ${routingParts}
  --plot FILE                        the suite routing as a plot: speed-up against length, SVG
  --rounds N                         timed rounds instead of the suite's own number
  --model FOLDER                     a checkpoint for the suite warm, instead of a synthetic model
  --adapter auto|hardware|software   which adapter to open (auto)

routing on a software adapter measures what fits into five minutes; --full measures every length and
reduction factor and takes hours there. With --full --json FILE each finished part is kept at once in
FILE.partial.jsonl: after an interruption the same command goes on and measures nothing twice.

exit code: 0 verified, whether or not a goal was reached; 1 a result was wrong
`;

function chooseSuites(name: string | undefined, json: boolean): readonly Suite[] {
  if (name === "all" || (name === undefined && json)) return suites;
  const found = suites.filter((suite) => suite.name === name);
  if (found.length > 0) return found;
  throw usageError(
    "bench",
    `there is no suite ${JSON.stringify(name)}; known: ${suites.map((suite) => suite.name).join(", ")}`,
    "see: adapters-webgpu bench",
  );
}

/** Progress of a bench on stderr, in hundredths: suites count their steps differently. */
export function benchContext(io: Io, label: string): { readonly context: BenchContext; readonly finish: () => void } {
  const display = startProgress(io, label, 100, "parts");
  const progress: BenchContext["progress"] = (done, total, doing) =>
    display.update(Math.round((100 * done) / Math.max(total, 1)), doing);
  return { context: { progress, signal: io.signal }, finish: () => display.finish() };
}

/** What the command line asks for, checked before anything is opened. */
interface BenchRequest {
  readonly name: string | undefined;
  readonly suites: readonly Suite[];
  readonly json: string | undefined;
  readonly plot: string | undefined;
  readonly full: boolean;
  readonly rounds: number | undefined;
  readonly only: readonly string[] | undefined;
  readonly model: string | undefined;
  readonly adapter: (typeof deviceChoices)[number];
}

async function readRequest(args: readonly string[]): Promise<BenchRequest | null> {
  const { values, flags, positionals } = readOptions(args, {
    command: "bench",
    values: ["json", "rounds", "model", "adapter", "only", "plot"],
    flags: ["full"],
    positionals: { most: 1, what: "suite" },
  });
  const [name] = positionals;
  const { json, plot, model } = values;
  if (name === undefined && json === undefined) return null;
  const chosen = chooseSuites(name, json !== undefined);
  const only = values.only === undefined ? undefined : listOf(values.only);
  const [first] = chosen;
  if (only !== undefined) checkParts(only, name, first?.parts);
  if (plot !== undefined && !chosen.some(({ plots }) => plots === true))
    throw usageError("bench", `the suite ${String(name)} has no plot`);
  if (json !== undefined && json !== "-") await checkTarget(json);
  if (plot !== undefined) await checkTarget(plot);
  const rounds = wholeNumber("bench", "rounds", values.rounds);
  const adapter = oneOf("bench", "adapter", values.adapter, deviceChoices);
  return { name, suites: chosen, json, plot, full: flags.full, rounds, only, model, adapter };
}

function checkParts(only: readonly string[], name: string | undefined, parts: readonly string[] | undefined): void {
  if (parts === undefined) throw usageError("bench", `the suite ${name ?? "all"} has no parts; --only cannot be used`);
  const stranger = only.find((part) => !parts.includes(part));
  if (only.length > 0 && stranger === undefined) return;
  const found = stranger === undefined ? "empty" : JSON.stringify(stranger);
  throw usageError("bench", `--only is ${found}, expected some of ${parts.join(", ")}`);
}

/** The journal of a run without limit that goes into a file; shorter ones begin anew. */
async function openJournal(gpu: Gpu, request: BenchRequest, io: Io): Promise<FileJournal | null> {
  const { json, full, name, only, rounds } = request;
  if (!full || json === undefined || json === "-") return null;
  const { device, driver, commit } = makeReport(gpu, name ?? "all", {});
  const stamp = {
    suite: name ?? "all",
    only: only?.join(",") ?? "all",
    rounds: String(rounds ?? "own"),
    device,
    driver,
    commit: commit ?? "none",
  };
  const journal = await FileJournal.open(journalPath(json), stamp);
  if (journal.size > 0) io.stderr.write(`going on after ${journal.size} finished units in ${journalPath(json)}\n`);
  return journal;
}

async function runSuites(
  gpu: Gpu,
  request: BenchRequest,
  journal: FileJournal | null,
  io: Io,
): Promise<Readonly<Record<string, SuiteResult>>> {
  const { full, rounds, only, json } = request;
  const model = request.model === undefined ? undefined : await loadModel(gpu, request.model);
  const options: SuiteOptions = {
    full,
    ...(rounds === undefined ? {} : { rounds }),
    ...(only === undefined ? {} : { only }),
    ...(model === undefined ? {} : { model }),
    ...(journal === null ? {} : { journal }),
  };
  const results: Record<string, SuiteResult> = {};
  for (const suite of request.suites) {
    const { context, finish } = benchContext(io, `bench ${suite.name}`);
    const result = await suite.run(gpu, options, context).finally(finish);
    results[suite.name] = result;
    if (json !== "-") io.stdout.write(`${suiteText(gpu, suite.name, result)}\n`);
  }
  await model?.dispose();
  return results;
}

/** The command `bench`. */
export const benchCommand: Command = {
  name: "bench",
  summary: "kernels, layers, adapters, fusion, tasks, swaps and routing: verified, then timed",
  help: HELP,
  async run(args, io) {
    const request = await readRequest(args);
    if (request === null) {
      io.stdout.write(listSuites());
      return 0;
    }
    const { name, json, plot } = request;
    const gpu = await openDevice(request.adapter, io);
    try {
      const journal = await openJournal(gpu, request, io);
      const results = await runSuites(gpu, request, journal, io).finally(() => journal?.close());
      const report = makeReport(gpu, name ?? "all", results);
      if (json === "-") io.stdout.write(reportJson(report));
      else if (json !== undefined) await writeWhole(json, reportJson(report));
      await journal?.remove();
      if (plot !== undefined) await writePlot(plot, results, io);
      return verificationHeld(report.rows) ? 0 : 1;
    } finally {
      await gpu.dispose();
    }
  },
};

async function writePlot(path: string, results: Readonly<Record<string, SuiteResult>>, io: Io): Promise<void> {
  const drawn = Object.values(results).find((result) => result.plot !== undefined)?.plot;
  if (drawn === undefined) io.stderr.write(`nothing was measured that a plot could show; ${path} is not written\n`);
  else await writeWhole(path, drawn);
}

function suiteText(gpu: Gpu, name: string, result: SuiteResult): string {
  const report = makeReport(gpu, name, { [name]: result });
  const { warmup, rounds } = result.settings;
  const lines = [
    `${name}: ${formatDevice(report)}`,
    `verified, then ${String(warmup)} warm-up and ${String(rounds)} interleaved rounds; median, p10–p90`,
    "",
    formatTables(result.rows),
    "",
    ...result.notes,
  ];
  const failed = missed(result.rows).map(
    ({ row, reach }) => `MISSED ${row}: ${reach.measure}, found ${reach.value.toPrecision(3)}`,
  );
  return [...lines, ...failed, ""].join("\n");
}
