/** @file The results of a sweep as a Markdown table that reads well as plain text, too. */

import { missingPoints } from "./manifest.ts";
import type { Manifest, Records } from "./manifest.ts";
import type { PointRecord } from "./record.ts";
import { layersText, settingsText } from "./settings.ts";
import type { PointSettings } from "./settings.ts";

/** Missing points that are named one by one. */
const MOST_NAMED = 12;

interface Column {
  readonly head: string;
  readonly cell: (record: PointRecord) => string;
  readonly right: boolean;
}

function settingText(settings: PointSettings, name: keyof PointSettings): string {
  const value = settings[name];
  if (value === null) return "";
  return name === "layers" ? layersText(value as readonly number[]) : String(value);
}

const HEADS: Readonly<Record<keyof PointSettings, string>> = {
  router: "router",
  reduction: "r",
  attention: "attention",
  softTopK: "soft top-k",
  part: "part",
  layers: "layers",
  threshold: "threshold",
  seed: "seed",
};

const VARYING = ["attention", "softTopK", "part", "layers", "threshold", "seed"] as const;

/** @returns settings that have several values among the points; the others say nothing about any one of them. */
export function varying(points: readonly { readonly settings: PointSettings }[]): (typeof VARYING)[number][] {
  const values = (name: keyof PointSettings): Set<string> =>
    new Set(points.map(({ settings }) => settingText(settings, name)).filter((text) => text !== ""));
  return VARYING.filter((name) => values(name).size > 1);
}

function number(value: number, digits: number): string {
  return value.toFixed(digits);
}

function columnsOf({ metric }: Manifest, records: readonly PointRecord[]): Column[] {
  const setting = (name: keyof PointSettings): Column => ({
    head: HEADS[name],
    cell: ({ settings }) => settingText(settings, name),
    right: name === "reduction" || name === "seed" || name === "threshold",
  });
  const measures = [...new Set(records.flatMap(({ metrics }) => Object.keys(metrics)))];
  const sorted = [metric, ...measures.filter((name) => name !== metric)];
  const value = (head: string, cell: Column["cell"]): Column => ({ head, cell, right: true });
  const timed = records.some(({ milliseconds }) => milliseconds !== null);
  const times = [
    value("ms", ({ milliseconds: time }) => (time === null ? "" : number(time.gpu ?? time.wall, 1))),
    value("speed-up", ({ milliseconds: time }) => (time === null ? "" : number(time.speedUp, 2))),
  ];
  return [
    setting("router"),
    setting("reduction"),
    ...varying(records).map(setting),
    ...sorted.map((name) => value(name, ({ metrics }) => (name in metrics ? number(metrics[name] as number, 4) : ""))),
    value("heavy rows", ({ heavyShare, diverged }) =>
      diverged === undefined ? `${number(100 * heavyShare, 1)} %` : "",
    ),
    value("FLOP ratio", ({ flopRatio }) => number(flopRatio, 2)),
    ...(timed ? times : []),
  ];
}

function tableText(columns: readonly Column[], records: readonly PointRecord[]): string[] {
  const rows = [columns.map(({ head }) => head), ...records.map((record) => columns.map(({ cell }) => cell(record)))];
  const widths = columns.map((_, column) => Math.max(3, ...rows.map((row) => (row[column] as string).length)));
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const padded = rows.map((row) =>
    line(
      row.map((cell, i) => (columns[i]?.right ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number))),
    ),
  );
  const rule = line(widths.map((width, i) => (columns[i]?.right ? `${"-".repeat(width - 1)}:` : "-".repeat(width))));
  return [padded[0] as string, rule, ...padded.slice(1)];
}

/** What is equal for all points, in words. */
function constants(records: readonly PointRecord[]): string {
  const changing = varying(records);
  const words = VARYING.filter((name) => !changing.includes(name)).flatMap((name) => {
    const value = records.map(({ settings }) => settingText(settings, name)).find((text) => text !== "");
    return value === undefined || (name === "part" && value === "layer") ? [] : [`${HEADS[name]} ${value}`];
  });
  return words.join(", ");
}

function missingLines(manifest: Manifest, records: Records): string[] {
  const missing = missingPoints(manifest, records);
  if (missing.length === 0) return [];
  const named = missing.slice(0, MOST_NAMED).map(({ id, settings }) => `- ${settingsText(settings)} (${id})`);
  const more = missing.length > MOST_NAMED ? [`- and ${missing.length - MOST_NAMED} more`] : [];
  return ["", `${missing.length} of ${manifest.points.length} points are missing:`, "", ...named, ...more];
}

function divergedLines(records: readonly PointRecord[]): string[] {
  const lines = records.flatMap(({ settings, diverged }) =>
    diverged === undefined ? [] : [`- ${settingsText(settings)}: ${diverged}`],
  );
  return lines.length === 0 ? [] : ["", "Points whose numbers overflow, and which have no measures:", "", ...lines];
}

/** @returns the records of a grid in its order. */
export function recordsInOrder({ points }: Manifest, records: Records): PointRecord[] {
  return points.flatMap(({ id }) => records.get(id) ?? []);
}

/** @returns the content of `table.md`. */
export function sweepTable(manifest: Manifest, records: Records): string {
  const ordered = recordsInOrder(manifest, records);
  const [any] = ordered;
  const lines = [`# ${manifest.name}`, ""];
  if (any !== undefined) {
    const devices = [...new Set(ordered.map(({ device }) => String(device.name)))].join(", ");
    const same = constants(ordered);
    const drawn = ordered.some(({ settings, trained }) => settings.router !== "dense" && !trained);
    lines.push(`${any.sequences} sequences, ${any.tokens} tokens; ${devices}${same === "" ? "" : `; ${same}`}.`);
    if (drawn)
      lines.push("Routers are not trained: these are baselines, and show what routing costs, not what it can reach.");
    lines.push("", ...tableText(columnsOf(manifest, ordered), ordered));
  }
  return `${[...lines, ...divergedLines(ordered), ...missingLines(manifest, records)].join("\n")}\n`;
}
