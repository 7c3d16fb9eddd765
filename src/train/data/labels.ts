/** @file Labels as numbers: the list of classes, binary labels with gaps, values. */

import { EngineError } from "../../errors.ts";
import type { DataConfig, SetName } from "../config/data.ts";
import type { ObjectiveKind } from "../config/run.ts";
import type { Row } from "./data.ts";
import { Problems } from "./problems.ts";

/** How labels become targets. */
export interface LabelPlan {
  /** Names of classes in the model's order, or of label columns. */
  readonly names: readonly string[];
  /** Classes, labels or values: what the head gives. */
  readonly count: number;
  /** Targets of a row, null where all of them are missing; a text says what is wrong with its labels. */
  readonly targets: (labels: readonly string[]) => readonly number[] | string | null;
}

const WHOLE = /^\d+$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

function refuse(message: string, where: string, fix: string): never {
  throw new EngineError("BAD_INPUT", message, { where, fix });
}

/** The classes of the rows: numbers up to the largest, or names in the order of the alphabet. */
function foundClasses(rows: readonly Row[]): string[] {
  const names = [...new Set(rows.map(({ labels }) => labels[0] as string))].filter((name) => name !== "");
  if (!names.every((name) => WHOLE.test(name))) return names.sort();
  const most = names.reduce((largest, name) => Math.max(largest, Number(name)), -1);
  // A hole in numbers as large as these is a mistake, and a list of them would not end.
  if (most > 1e6) refuse(`the labels go up to ${most}`, "data.classes", "name the classes in data.classes");
  return Array.from({ length: most + 1 }, (_, label) => String(label));
}

function classPlan(rows: readonly Row[], given: readonly string[] | number | null): LabelPlan {
  const names =
    typeof given === "number"
      ? Array.from({ length: given }, (_, label) => String(label))
      : (given ?? foundClasses(rows));
  const places = new Map(names.map((name, index) => [name, index]));
  const known = names.length <= 8 ? names.join(", ") : `${names.length} classes`;
  return {
    names,
    count: names.length,
    targets: ([label = ""]) => {
      if (label === "") return "there is no label";
      const place =
        places.get(label) ?? (WHOLE.test(label) && Number(label) < names.length ? Number(label) : undefined);
      return place === undefined ? `the label ${JSON.stringify(label)} is none of ${known}` : [place];
    },
  };
}

const BINARY: ReadonlyMap<string, number> = new Map([
  ["0", 0],
  ["1", 1],
  ["0.0", 0],
  ["1.0", 1],
  ["false", 0],
  ["true", 1],
  ["", Number.NaN],
]);

function columnPlan(names: readonly string[], one: (label: string) => number | undefined, expected: string): LabelPlan {
  return {
    names,
    count: names.length,
    targets: (labels) => {
      if (labels.length !== names.length) return `there are ${labels.length} labels, expected ${names.length}`;
      const targets = labels.map(one);
      const bad = targets.indexOf(undefined);
      if (bad >= 0) return `${names[bad]} is ${JSON.stringify(labels[bad])}, expected ${expected}`;
      return (targets as number[]).every(Number.isNaN) ? null : (targets as number[]);
    },
  };
}

function valueOf(label: string): number | undefined {
  if (label === "") return Number.NaN;
  return NUMBER.test(label) && Number.isFinite(Number(label)) ? Number(label) : undefined;
}

/**
 * @param rows those that are trained on
 * @param classes the list of the configuration, read where it is a file
 */
export function labelPlan(
  objective: ObjectiveKind,
  { labels }: DataConfig,
  rows: readonly Row[],
  classes: readonly string[] | number | null,
): LabelPlan {
  if (objective === "cross-entropy") return classPlan(rows, classes);
  if (objective === "masked-language-modelling") return { names: [], count: 0, targets: () => [] };
  // A list in one field of JSON stands for as many columns as it has entries.
  const width = Math.max(labels.length, rows[0]?.labels.length ?? 0);
  const names =
    width === labels.length ? labels : Array.from({ length: width }, (_, label) => `${labels[0]}[${label}]`);
  if (objective === "squared-error") return columnPlan(names, valueOf, "a number");
  return columnPlan(names, (label) => BINARY.get(label.toLowerCase()), "0, 1 or nothing");
}

/**
 * @param files the file that is named in errors
 * @returns rows with their targets; those without any label are left out
 * @throws EngineError BAD_FILE naming the first rows whose labels are wrong
 */
export function labelledRows(
  rows: readonly Row[],
  plan: LabelPlan,
  files: string,
): { readonly row: Row; readonly targets: readonly number[] }[] {
  const problems = new Problems(files);
  const labelled = rows.flatMap((row) => {
    const { place } = row;
    const targets = plan.targets(row.labels);
    if (typeof targets !== "string") return targets === null ? [] : [{ row, targets }];
    problems.add(place.startsWith(`${files}:`) ? Number(place.slice(files.length + 1)) : place, targets);
    return [];
  });
  problems.refuse("correct the labels, or name the classes in data.classes");
  return labelled;
}

/**
 * @throws EngineError BAD_INPUT for a class that no example has, or a binary label that is the same in all of them
 */
export function checkClasses(
  objective: ObjectiveKind,
  { names, count }: LabelPlan,
  targets: readonly (readonly number[])[],
  set: SetName,
): void {
  const fix = 'give examples of it, leave it out, or say "emptyClasses": "allow"';
  if (objective === "cross-entropy") {
    if (count < 2)
      refuse(
        `there ${count === 1 ? "is one class" : "are no classes"}: nothing can be told apart`,
        `data.${set}`,
        "give at least two classes",
      );
    const seen = new Set(targets.map(([label]) => label as number));
    const empty = names.filter((_, label) => !seen.has(label));
    if (empty.length === 0) return;
    const named = empty
      .slice(0, 5)
      .map((name) => JSON.stringify(name))
      .join(", ");
    const more = empty.length > 5 ? `, and ${empty.length - 5} more` : "";
    refuse(`no example of data.${set} has the class ${named}${more}`, `data.${set}`, fix);
  }
  if (objective !== "binary-cross-entropy") return;
  names.forEach((name, label) => {
    const missing = [1, 0].find((value) => !targets.some((row) => row[label] === value));
    if (missing !== undefined) refuse(`no example of data.${set} has ${name} = ${missing}`, `data.${set}`, fix);
  });
}
