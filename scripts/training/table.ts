/** @file Finished runs of a suite as a table: one line per run, seeds of one run as mean and spread. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Run, Suite } from "./suite.ts";

type ScoresBy = Readonly<Record<string, Readonly<Record<string, number | null>>>>;

interface Results {
  readonly test: Readonly<Record<string, number | null>> | null;
  readonly evaluation: Readonly<Record<string, number | null>> | null;
  readonly dropped?: ScoresBy;
  readonly pruned?: ScoresBy;
  readonly steps: number;
  readonly milliseconds: number;
  readonly device: { readonly driver: string };
  readonly commit?: string;
}

/** Runs that differ in their seed alone. */
const familyOf = (id: string): string => id.replace(/-seed\d+$/, "");

async function resultsOf(folder: string, { id }: Run): Promise<Results | null> {
  const text = await readFile(join(folder, id, "results.json"), "utf8").catch(() => null);
  return text === null ? null : (JSON.parse(text) as Results);
}

function spread(values: readonly number[]): string {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length === 1) return mean.toFixed(4);
  const range = `${Math.min(...values).toFixed(4)} to ${Math.max(...values).toFixed(4)}`;
  return `${mean.toFixed(4)} (${range}, ${values.length} seeds)`;
}

function cell(results: readonly Results[], of: (one: Results) => number | null | undefined): string {
  const values = results.map(of).filter((value) => typeof value === "number");
  return values.length === 0 ? "–" : spread(values);
}

/** Scores of finished models of which something was left out, a column per number. */
function lessTable(
  rows: readonly (readonly [string, readonly Results[]])[],
  title: string,
  measure: string,
  field: "dropped" | "pruned",
): string[] {
  const measured = rows.filter(([, results]) => results.some((one) => one[field] !== undefined));
  const counts = [
    ...new Set(measured.flatMap(([, results]) => results.flatMap((one) => Object.keys(one[field] ?? {})))),
  ];
  if (counts.length === 0) return [];
  counts.sort((a, b) => Number(a) - Number(b));
  return [
    "",
    title,
    "",
    `| run | ${counts.join(" | ")} |`,
    `|---|${counts.map(() => "---").join("|")}|`,
    ...measured.map(
      ([id, results]) =>
        `| ${id} | ${counts.map((count) => cell(results, (one) => one[field]?.[count]?.[measure])).join(" | ")} |`,
    ),
  ];
}

/** @returns the table of what is finished, as Markdown. */
export async function tableOf(folder: string, { title, measure, runs }: Suite): Promise<string> {
  const families = new Map<string, { about: string; results: Results[] }>();
  let missing = 0;
  for (const run of runs) {
    const results = await resultsOf(folder, run);
    if (results === null) missing += 1;
    else {
      const family = families.get(familyOf(run.id)) ?? { about: run.about, results: [] };
      family.results.push(results);
      families.set(familyOf(run.id), family);
    }
  }
  const all = [...families.values()].flatMap(({ results }) => results);
  const minutes = all.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / 60_000;
  const rows = [...families].map(([id, { results }]) => [id, results] as const);
  const of = (results: readonly Results[], name: string): string => cell(results, ({ test }) => test?.[name]);
  return [
    `# ${title}`,
    "",
    `${all[0]?.device.driver ?? ""}; ${minutes.toFixed(0)} minutes of steps and evaluations in all${missing === 0 ? "" : `; ${missing} of ${runs.length} runs are missing`}.`,
    "",
    `| run | what | test ${measure} | test loss | steps | minutes |`,
    "|---|---|---|---|---|---|",
    ...[...families].map(([id, { about, results }]) => {
      const time = results.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / 60_000 / results.length;
      const loss = cell(results, ({ test, evaluation }) => test?.loss ?? evaluation?.loss);
      return `| ${id} | ${about} | ${of(results, measure)} | ${loss} | ${results[0]?.steps ?? ""} | ${time.toFixed(1)} |`;
    }),
    ...lessTable(
      rows,
      `${measure} on the test set without adapters in so many of the lowest layers:`,
      measure,
      "dropped",
    ),
    ...lessTable(
      rows,
      `${measure} on the test set with so many adapters of the fusion, the most active ones:`,
      measure,
      "pruned",
    ),
    "",
  ].join("\n");
}
