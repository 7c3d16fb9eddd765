/** @file The tables as text, and as they go into the JSON file. */

import type { ReportRow } from "../../src/bench/report.ts";
import { formatTable } from "../../src/cli/text.ts";
import { needsOf, valueOf } from "./forms.ts";
import type { Measure } from "./forms.ts";
import { formatMeasure } from "./layout.ts";
import type { PaperTable } from "./layout.ts";
import { rowName, samplesIn, within } from "./measure.ts";

/** What a table is filled in from. */
export interface Filling {
  readonly layers: number;
  /** Most rows under way at once that were to be measured. */
  readonly tokens: number;
  readonly rows: readonly ReportRow[];
}

/** What stands where there is no number. */
export const blanks = {
  training: "–",
  tooLarge: "GPU",
  wrong: "WRONG",
  limit: "limit",
  open: "open",
} as const;

/** What the marks in a table mean. */
export const legend: readonly string[] = [
  `${blanks.training}      the paper has no number (out of memory), or ours would be one of training`,
  `${blanks.tooLarge}    more rows at once than this run measures: --tokens, or a hardware GPU`,
  `${blanks.limit}  this device cannot hold it; the JSON says which limit`,
  `${blanks.open}   not measured yet: go on with --resume`,
  `${blanks.wrong}  verification failed, so it was not timed`,
];

function ours(measure: Measure, { layers, tokens, rows }: Filling): string {
  const needs = needsOf(measure, layers);
  if (needs.length === 0) return blanks.training;
  const value = valueOf(measure, layers, samplesIn(rows));
  if (value !== null) return formatMeasure(measure, value);
  const names = new Set(needs.flatMap(({ group, forms }) => forms.map((form) => rowName(group, form))));
  const found = rows.filter(({ name }) => names.has(name));
  if (found.some(({ verified }) => verified?.ok === false)) return blanks.wrong;
  if (found.some(({ cells }) => cells.limit !== undefined)) return blanks.limit;
  return within(needs, tokens) ? blanks.open : blanks.tooLarge;
}

/** @returns the cells of a table as text, without the header. */
export function fillTable({ lines }: PaperTable, filling: Filling): readonly (readonly string[])[] {
  const text = (measures: readonly Measure[]): string => {
    const parts = measures.map((measure) => ours(measure, filling));
    return new Set(parts).size === 1 ? (parts[0] as string) : parts.join("; ");
  };
  return lines.map((line) => line.map((cell) => (typeof cell === "string" ? cell : text(cell))));
}

/** @returns a table as lines of text under its title. */
export function printTable(table: PaperTable, filling: Filling): string {
  const cells = fillTable(table, filling);
  const align = table.columns.map((_, column) => (column === 0 ? "left" : "right"));
  return `Table ${table.number} — ${table.title}\n${formatTable([table.columns, ...cells], align)}\n`;
}
