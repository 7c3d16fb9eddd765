/** @file Reports of benches as tables for people and as JSON for machines. */

import { execFileSync } from "node:child_process";
import type { Gpu } from "../../gpu/gpu.ts";
import { deviceFields } from "../../bench/report.ts";
import type { BenchReport, ReportRow, SuiteResult } from "../../bench/report.ts";
import { formatTable } from "../text.ts";

/** The commit of the checkout that this program runs from, if it is one. */
export function commit(): { readonly commit: string } | Record<never, never> {
  try {
    const options = { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "ignore"] as ["ignore", "pipe", "ignore"] };
    return { commit: execFileSync("git", ["rev-parse", "HEAD"], options).toString().trim() };
  } catch {
    return {}; // an installed package has no commit
  }
}

/** @returns the report of one or several suites. */
export function makeReport(gpu: Gpu, suite: string, results: Readonly<Record<string, SuiteResult>>): BenchReport {
  const all = Object.values(results);
  return {
    ...deviceFields(gpu),
    date: new Date().toISOString(),
    ...commit(),
    suite,
    settings: Object.fromEntries(Object.entries(results).map(([name, { settings }]) => [name, settings])),
    rows: all.flatMap(({ rows }) => rows),
    notes: all.flatMap(({ notes }) => notes),
  };
}

/** @returns the report as JSON; numbers that do not exist, such as the time of what was not timed, are null. */
export function reportJson(report: BenchReport): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** @returns a number with as many digits as one reads. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude < 0.001) return value.toExponential(1);
  return value.toFixed(magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : magnitude >= 0.1 ? 2 : 4);
}

/** @returns the rows as tables, each under its heading; rows without one stand in one table. */
export function formatTables(rows: readonly ReportRow[]): string {
  const tables = new Map<string | undefined, ReportRow[]>();
  for (const row of rows) tables.set(row.table, [...(tables.get(row.table) ?? []), row]);
  return [...tables]
    .map(([title, own]) => (title === undefined ? formatRows(own) : `${title}\n\n${formatRows(own)}`))
    .join("\n\n");
}

/** @returns the rows as one table: time and spread, the cells of the suite, error of the verified run, goals. */
export function formatRows(rows: readonly ReportRow[]): string {
  const columns = [...new Set(rows.flatMap(({ cells }) => Object.keys(cells)))];
  const goals = rows.some(({ reaches }) => reaches !== undefined);
  // Columns that no row fills are left out.
  const timed = rows.some(({ timing }) => timing !== undefined);
  const checked = rows.some(({ verified }) => verified !== undefined);
  const pick = (time: readonly string[], cells: readonly string[], error: string, goal: string): string[] => [
    ...(timed ? time : []),
    ...cells,
    ...(checked ? [error] : []),
    ...(goals ? [goal] : []),
  ];
  const head = ["", ...pick(["ms", "p10–p90"], columns, "error", "goal")];
  const lines = rows.map((row) => {
    const cells = columns.map((column) => formatCell(row.cells[column]));
    return [row.name, ...pick(timeCells(row), cells, errorCell(row), goalCell(row))];
  });
  const align = head.map((_, column) => (column === 0 || (goals && column === head.length - 1) ? "left" : "right"));
  return formatTable([head, ...lines], align);
}

function formatCell(cell: number | string | undefined): string {
  return cell === undefined ? "" : typeof cell === "number" ? formatNumber(cell) : cell;
}

function timeCells({ timing }: ReportRow): [string, string] {
  if (timing === undefined) return ["", ""];
  return [formatNumber(timing.median), `${formatNumber(timing.p10)}–${formatNumber(timing.p90)}`];
}

function errorCell({ verified }: ReportRow): string {
  if (verified === undefined) return "";
  return verified.ok ? verified.error.toExponential(1) : `WRONG ${verified.detail}`;
}

function goalCell({ reaches = [] }: ReportRow): string {
  return reaches
    .map(({ measure, value, ok }) => `${measure}: ${formatNumber(value)} ${ok ? "reached" : "MISSED"}`)
    .join("; ");
}

/** @returns device, driver, clock in one line. */
export function formatDevice({ device, driver, software, clock }: BenchReport): string {
  return `${device} (${driver}), ${software ? "software" : "hardware"}; clock: ${clock}`;
}
