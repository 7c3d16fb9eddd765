/**
 * @file The AdapterDrop paper's tables 1 to 4 and 9 to 12 with ours beside theirs:
 * `npx tsx bench/tables/adapterdrop.ts [--table 1,3] [--tokens N] [--rounds N] [--resume FILE] [--json]`.
 * How to read and reproduce them: docs/adapterdrop.md.
 */

import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { BenchReport, ReportRow } from "../../src/bench/report.ts";
import { verificationHeld } from "../../src/bench/report.ts";
import { formatDevice, makeReport, reportJson } from "../../src/cli/bench/report.ts";
import { checkTarget, readJson, writeWhole } from "../../src/cli/files.ts";
import { oneOf, readOptions, usageError, wholeNumber } from "../../src/cli/options.ts";
import { EngineError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { openGpu } from "../../src/node/open.ts";
import { PAPER_LAYERS, droppedLayers } from "./forms.ts";
import { measuresOf, paperTables, tableNumbers } from "./layout.ts";
import type { PaperTable } from "./layout.ts";
import { Verified, groupsOf, measureGroup, rowName } from "./measure.ts";
import type { Group, Rounds } from "./measure.ts";
import { fillTable, legend, printTable } from "./print.ts";
import type { Filling } from "./print.ts";
import { Workload, paperSizes } from "./workload.ts";

const COMMAND = "adapterdrop";

const HELP = `usage: npx tsx bench/tables/adapterdrop.ts [options]

Prints tables 1-4 and 9-12 of the AdapterDrop paper with the numbers of this device beside theirs.

  --table 1,3         only these tables
  --tokens N          most rows under way at once (length x batch x tasks); larger cells are marked GPU
                      (2048 on a software adapter, which also runs 2 of the 12 layers; no limit on hardware)
  --rounds N          exactly N rounds in every cell, instead of as many as fit its share of time
  --resume FILE       keep finished cells in FILE, written at once, and skip those that are there already
  --adapter auto|hardware|software
  --json              the whole report on stdout instead of the tables
`;

/** What a run is asked to do. */
export interface TableOptions {
  readonly tables: readonly PaperTable[];
  readonly tokens: number | undefined;
  readonly rounds: number | undefined;
  readonly resume: string | undefined;
  readonly adapter: "auto" | "hardware" | "software";
  readonly json: boolean;
  readonly help: boolean;
}

/**
 * Reads the command line.
 * @throws EngineError BAD_INPUT
 */
export function readTableOptions(args: readonly string[]): TableOptions {
  const names = ["table", "tokens", "rounds", "resume", "adapter"] as const;
  const { values, flags } = readOptions(args, { command: COMMAND, values: names, flags: ["json", "help"] });
  const wanted = values.table?.split(",").map((text) => Number(text.trim())) ?? tableNumbers;
  const unknown = wanted.filter((number) => !tableNumbers.includes(number));
  if (unknown.length > 0) {
    const known = `these are here: ${tableNumbers.join(", ")}`;
    throw usageError(COMMAND, `--table ${values.table}: there is no table ${unknown.join(", ")}`, known);
  }
  return {
    tables: paperTables.filter(({ number }) => wanted.includes(number)),
    tokens: wholeNumber(COMMAND, "tokens", values.tokens),
    rounds: wholeNumber(COMMAND, "rounds", values.rounds),
    resume: values.resume,
    adapter: oneOf(COMMAND, "adapter", values.adapter, ["auto", "hardware", "software"]),
    json: flags.json,
    help: flags.help,
  };
}

/** What a device is asked for unless the command line says otherwise. */
interface Protocol {
  readonly layers: number;
  readonly tokens: number;
  readonly rounds: Rounds;
}

/** The paper repeats 300 times. A software adapter has twenty seconds per cell, a GPU as long for up to that many rounds. */
export function protocolOf(software: boolean, options: Pick<TableOptions, "tokens" | "rounds">): Protocol {
  const exact = options.rounds === undefined ? {} : { exact: options.rounds };
  const budget = 20_000;
  return software
    ? { layers: 2, tokens: options.tokens ?? 2048, rounds: { ...exact, budget, most: 5 } }
    : { layers: PAPER_LAYERS, tokens: options.tokens ?? Infinity, rounds: { ...exact, budget, most: 300 } };
}

/** A report with the tables that were made from its rows. */
interface TableReport extends BenchReport {
  readonly tables: readonly { readonly number: number; readonly title: string; readonly rows: readonly object[] }[];
}

function protocolNotes(gpu: Gpu, { layers, tokens, rounds }: Protocol): string[] {
  const { width, heads, ffnWidth, bottleneck } = paperSizes;
  const often =
    rounds.exact === undefined
      ? `as many rounds as fit ${rounds.budget / 1000} s a cell, 1 to ${rounds.most}`
      : `${rounds.exact} ${rounds.exact === 1 ? "round" : "rounds"}`;
  const dropped = droppedLayers(layers);
  return [
    `${layers} of 12 layers, d ${width}, ${heads} heads, dff ${ffnWidth}, adapters of compression 16 (${bottleneck}); f32; no embeddings, no heads.`,
    `protocol: verified against float64, one warm-up, then ${often}, all forms of a cell in turns; median of the ratios within a round.`,
    `reference: our own bare model with the same weights on the same device${gpu.info.software ? `; cells of up to ${tokens} rows at once` : ""}.`,
    `tables 2, 4, 11: ${dropped} of ${layers} layers dropped, divided by ${dropped}${layers < PAPER_LAYERS ? ", as a share of 12 such layers" : ""}.`,
    "table 12: iterative is AdapterFusion as published (keys and values of every adapter), parallel is our folded form; below 1 means that folding is faster.",
    "relative speed: time of the reference / time of the other; p %: run time becomes (1 - p/100) of what it was.",
  ];
}

function report(gpu: Gpu, protocol: Protocol, rows: readonly ReportRow[], tables: readonly PaperTable[]): TableReport {
  const { layers, tokens, rounds } = protocol;
  const settings = { ...paperSizes, layers, tokens: Number.isFinite(tokens) ? tokens : null, rounds };
  const made = makeReport(gpu, COMMAND, { [COMMAND]: { rows, notes: protocolNotes(gpu, protocol), settings } });
  const filling: Filling = { layers, tokens, rows };
  return {
    ...made,
    tables: tables.map((table) => ({
      number: table.number,
      title: table.title,
      columns: table.columns,
      rows: fillTable(table, filling),
    })),
  };
}

/**
 * Reads the rows of an earlier run.
 * @throws EngineError BAD_INPUT when it was made on another device or with other sizes: ratios of two devices do not mix
 */
export async function readFinished(
  path: string,
  now: Pick<BenchReport, "device" | "driver" | "clock"> & { readonly layers: number },
): Promise<readonly ReportRow[]> {
  await checkTarget(path);
  if ((await stat(path).catch(() => null)) === null) return [];
  const before = (await readJson(path)) as unknown as BenchReport;
  const settings = before.settings?.[COMMAND] as { readonly layers?: number } | undefined;
  const differences = (["device", "driver", "clock"] as const)
    .filter((name) => before[name] !== now[name])
    .map((name) => `${name} ${String(before[name])}, now ${now[name]}`);
  if (settings?.layers !== now.layers) differences.push(`layers ${String(settings?.layers)}, now ${now.layers}`);
  if (differences.length === 0) return before.rows;
  throw new EngineError("BAD_INPUT", `${path} was measured with ${differences.join("; ")}`, {
    where: path,
    fix: "name another file",
  });
}

/** @returns the groups of which some form has no row yet, or a wrong one. */
export function unfinished(groups: readonly Group[], rows: readonly ReportRow[]): readonly Group[] {
  const known = new Set(rows.filter(({ verified }) => verified?.ok !== false).map(({ name }) => name));
  return groups.filter(({ name, forms }) => !forms.every((form) => known.has(rowName(name, form))));
}

/** @returns how often every group was timed, in one line. */
export function roundsLine(rows: readonly ReportRow[]): string {
  const made = new Map<string, number>();
  for (const { name, timing } of rows) {
    if (timing !== undefined) made.set(name.slice(0, name.lastIndexOf(": ")), timing.samples.length);
  }
  const each = [...made].map(([group, count]) => `${group}: ${count}`);
  return `rounds (length/batch): ${each.join("; ") || "none yet"}`;
}

/** Measures what is not there yet and hands every finished group over at once. */
async function measureAll(
  gpu: Gpu,
  groups: readonly Group[],
  protocol: Protocol,
  finished: (group: Group, rows: readonly ReportRow[]) => Promise<void>,
): Promise<void> {
  if (groups.length === 0) return;
  const workload = await Workload.create(gpu, { ...paperSizes, layers: protocol.layers });
  const verified = new Verified(workload);
  try {
    for (const [index, group] of groups.entries()) {
      const start = performance.now();
      process.stderr.write(`${index + 1} of ${groups.length}: ${group.name}, ${group.forms.length} forms … `);
      const progress = (): void => undefined;
      await finished(group, await measureGroup(workload, verified, group, protocol.rounds, { progress }));
      process.stderr.write(`${((performance.now() - start) / 1000).toFixed(0)} s\n`);
    }
  } finally {
    await workload.dispose();
  }
}

/** The command. @returns its exit code: 1 when a result was wrong */
export async function main(args: readonly string[]): Promise<number> {
  const options = readTableOptions(args);
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const gpu = await openGpu({ adapter: options.adapter });
  try {
    const protocol = protocolOf(gpu.info.software, options);
    const { layers, tokens } = protocol;
    const now = report(gpu, protocol, [], []);
    let rows = options.resume === undefined ? [] : await readFinished(options.resume, { ...now, layers });
    const groups = groupsOf(measuresOf(options.tables), layers, tokens);
    await measureAll(gpu, unfinished(groups, rows), protocol, async (group, made) => {
      const replaced = new Set(group.forms.map((form) => rowName(group.name, form)));
      rows = [...rows.filter(({ name }) => !replaced.has(name)), ...made];
      // All tables: a file that several runs have filled is a whole.
      if (options.resume !== undefined)
        await writeWhole(options.resume, reportJson(report(gpu, protocol, rows, paperTables)));
    });
    const whole = report(gpu, protocol, rows, options.tables);
    process.stdout.write(options.json ? reportJson(whole) : asText(whole, { layers, tokens, rows }, options.tables));
    return verificationHeld(rows) ? 0 : 1;
  } finally {
    await gpu.dispose();
  }
}

function asText(whole: TableReport, filling: Filling, tables: readonly PaperTable[]): string {
  const printed = tables.map((table) => printTable(table, filling));
  return [formatDevice(whole), ...whole.notes, roundsLine(filling.rows), "", ...printed, ...legend, ""].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    process.stderr.write(`${error.code}: ${error.message}${error.fix === undefined ? "" : `\n  fix: ${error.fix}`}\n`);
    process.exitCode = 2;
  }
}
