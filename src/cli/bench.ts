/** @file `bench`: suites that verify before they time, as a table and as JSON. */

import { missed, verificationHeld } from "../bench/report.ts";
import type { SuiteResult } from "../bench/report.ts";
import type { BenchContext } from "../bench/harness.ts";
import type { Suite, SuiteOptions } from "../bench/suite.ts";
import { plannedSuites, suites } from "../bench/suites.ts";
import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { loadModel } from "../node.ts";
import { formatDevice, formatRows, makeReport, reportJson } from "./bench-report.ts";
import type { Command, Io } from "./command.ts";
import { deviceChoices, openDevice } from "./device.ts";
import { checkTarget, writeWhole } from "./files.ts";
import { oneOf, readOptions, usageError, wholeNumber } from "./options.ts";
import { startProgress } from "./progress.ts";

function listSuites(): string {
  const width = Math.max(
    ...suites.map(({ name }) => name.length),
    ...Object.keys(plannedSuites).map(({ length }) => length),
  );
  const lines = suites.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  const later = Object.entries(plannedSuites).map(([name, when]) => `  ${name.padEnd(width)}  ${when}`);
  return [
    "suites:",
    ...lines,
    `  ${"all".padEnd(width)}  these one after the other`,
    "",
    "planned:",
    ...later,
    "",
  ].join("\n");
}

const HELP = `usage: adapters-webgpu bench [suite] [options]

Verifies every candidate against float64, then times the candidates in turns, so that ratios come
from one run. Without a suite: lists them.

${listSuites()}
  --json FILE                        the report as JSON; - is stdout. Without a suite: runs all
  --full                             more shapes and forms; may take longer than five minutes
  --rounds N                         timed rounds instead of the suite's own number
  --model FOLDER                     a checkpoint for the suite warm, instead of a synthetic model
  --adapter auto|hardware|software   which adapter to open (auto)

exit code: 0 verified, whether or not a goal was reached; 1 a result was wrong
`;

function chooseSuites(name: string | undefined, json: boolean): readonly Suite[] {
  if (name === "all" || (name === undefined && json)) return suites;
  const found = suites.filter((suite) => suite.name === name);
  if (found.length > 0) return found;
  const when = name !== undefined && Object.hasOwn(plannedSuites, name) ? plannedSuites[name] : undefined;
  if (when !== undefined) {
    throw new EngineError("NOT_IMPLEMENTED", `the suite ${name} ${when}`, {
      where: "bench",
      fix: "see: adapters-webgpu bench",
    });
  }
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

async function runSuite(gpu: Gpu, suite: Suite, options: SuiteOptions, io: Io): Promise<SuiteResult> {
  const { context, finish } = benchContext(io, `bench ${suite.name}`);
  try {
    return await suite.run(gpu, options, context);
  } finally {
    finish();
  }
}

function readBenchOptions(
  args: readonly string[],
): ReturnType<typeof readOptions<"json" | "rounds" | "model" | "adapter", "full">> {
  return readOptions(args, {
    command: "bench",
    values: ["json", "rounds", "model", "adapter"],
    flags: ["full"],
    positionals: { most: 1, what: "suite" },
  });
}

/** The command `bench`. */
export const benchCommand: Command = {
  name: "bench",
  summary: "kernels, layers, adapters, fusion, tasks, swaps and routing: verified, then timed",
  help: HELP,
  async run(args, io) {
    const { values, flags, positionals } = readBenchOptions(args);
    const [name] = positionals;
    if (name === undefined && values.json === undefined) {
      io.stdout.write(listSuites());
      return 0;
    }
    const chosen = chooseSuites(name, values.json !== undefined);
    const rounds = wholeNumber("bench", "rounds", values.rounds);
    const choice = oneOf("bench", "adapter", values.adapter, deviceChoices);
    if (values.json !== undefined && values.json !== "-") await checkTarget(values.json);
    const gpu = await openDevice(choice, io);
    try {
      const model = values.model === undefined ? undefined : await loadModel(gpu, values.model);
      const options = {
        full: flags.full,
        ...(rounds === undefined ? {} : { rounds }),
        ...(model === undefined ? {} : { model }),
      };
      const results: Record<string, SuiteResult> = {};
      for (const suite of chosen) {
        results[suite.name] = await runSuite(gpu, suite, options, io);
        if (values.json !== "-") io.stdout.write(`${suiteText(gpu, suite.name, results[suite.name] as SuiteResult)}\n`);
      }
      await model?.dispose();
      const report = makeReport(gpu, name ?? "all", results);
      if (values.json === "-") io.stdout.write(reportJson(report));
      else if (values.json !== undefined) await writeWhole(values.json, reportJson(report));
      return verificationHeld(report.rows) ? 0 : 1;
    } finally {
      await gpu.dispose();
    }
  },
};

function suiteText(gpu: Gpu, name: string, result: SuiteResult): string {
  const report = makeReport(gpu, name, { [name]: result });
  const { warmup, rounds } = result.settings;
  const lines = [
    `${name}: ${formatDevice(report)}`,
    `verified, then ${String(warmup)} warm-up and ${String(rounds)} interleaved rounds; median, p10–p90`,
    "",
    formatRows(result.rows),
    "",
    ...result.notes,
  ];
  const failed = missed(result.rows).map(
    ({ row, reach }) => `MISSED ${row}: ${reach.measure}, found ${reach.value.toPrecision(3)}`,
  );
  return [...lines, ...failed, ""].join("\n");
}
