/** @file The field `data` of a training: which files, what of them, and which examples are trained and evaluated on. */

import {
  listField,
  numberField,
  objectField,
  optionalField,
  refuseField,
  textField,
  wholeField,
  wordField,
} from "../../inputs/fields.ts";

/** The kinds of data sets, and the files of each. */
export const dataFiles = {
  /** A CSV or TSV file with a header line. */
  table: ["table"],
  /** A label, a space, a text a line. */
  "labelled-lines": ["lines"],
  /** A text a line, and a label a line of a second file. */
  lines: ["lines", "labels"],
  /** An object a line. */
  "json-lines": ["lines"],
  /** One object of lists of [text, label]. */
  "json-lists": ["lists"],
  /** Raw 16-bit samples, cut and labelled by a table. */
  clips: ["clips", "table"],
  /** MNIST's two files. */
  images: ["images", "labels"],
  /** A paragraph a line, without labels. */
  corpus: ["text"],
} as const;

/** A kind of data set. */
export type DataKind = keyof typeof dataFiles;

/** The names of the three sets. Only the first must be there. */
export const setNames = ["train", "evaluation", "test"] as const;
/** One of them. */
export type SetName = (typeof setNames)[number];

/** Files of one set. */
export interface SetFiles {
  readonly files: Readonly<Record<string, string>>;
  /** Of JSON lists: which of them. */
  readonly lists: readonly string[];
}

/** How one set of files becomes several sets of examples. */
export type SplitPlan =
  /** Each example falls by a hash of its content, wherever it stands: shares of all. */
  | { readonly by: "hash"; readonly evaluation: number; readonly test: number; readonly seed: number }
  /** A column of the table says so: what is named in neither list is trained on. */
  | {
      readonly by: "column";
      readonly column: string;
      readonly evaluation: readonly string[];
      readonly test: readonly string[];
    };

/** What is read, and how. */
export interface DataConfig {
  readonly kind: DataKind;
  readonly sets: Readonly<Partial<Record<SetName, SetFiles>>>;
  /** Columns, or fields of JSON lines: one text or a pair. */
  readonly text: readonly string[];
  /** Columns or fields of the labels. */
  readonly labels: readonly string[];
  /** Names of the classes in the model's order, their number, or a file of names; null: those of the examples. */
  readonly classes: readonly string[] | number | string | null;
  /** A JSON file of groups, each with the labels that it stands for. */
  readonly groups: string | null;
  readonly emptyClasses: "refuse" | "allow";
  readonly split: SplitPlan | null;
  readonly limit: Readonly<Partial<Record<SetName, number>>>;
  /** Most tokens of a sequence, or the tokens of a packed one; null: what the model takes. */
  readonly length: number | null;
  /** What happens to longer ones. */
  readonly long: "refuse" | "cut" | "leave-out";
  /** Of the clips in hertz; null: the model's. */
  readonly sampleRate: number | null;
  readonly crop: "start" | "center";
  /** Of masked language modelling: the share of tokens that are to be found out. */
  readonly masked: number;
}

const FIELDS = [
  "kind",
  ...setNames,
  "text",
  "labels",
  "classes",
  "groups",
  "emptyClasses",
  "split",
  "limit",
  "length",
  "long",
  "sampleRate",
  "crop",
  "masked",
];

function namesField(value: unknown, where: string): string[] {
  return listField(Array.isArray(value) ? value : [value], where, textField);
}

function setField(value: unknown, where: string, kind: DataKind): SetFiles {
  const names: readonly string[] = dataFiles[kind];
  const fields = objectField(value, where, kind === "json-lists" ? [...names, "names"] : names);
  return {
    files: Object.fromEntries(names.map((name) => [name, textField(fields[name], `${where}.${name}`)])),
    lists: kind === "json-lists" ? namesField(fields.names, `${where}.names`) : [],
  };
}

function shareField(value: unknown, where: string): number {
  const share = numberField(value ?? 0, where, 0);
  return share < 1 ? share : refuseField(where, value, "a share from 0 to below 1");
}

function splitField(value: unknown, kind: DataKind): SplitPlan {
  const tabled = kind === "table" || kind === "clips";
  const { column } = objectField(value, "data.split", ["column", "evaluation", "test", "seed"]);
  if (column !== undefined) {
    if (!tabled) refuseField("data.split.column", column, `nothing: ${kind} has no table`);
    const fields = objectField(value, "data.split", ["column", "evaluation", "test"]);
    const named = (name: "evaluation" | "test"): string[] =>
      optionalField(fields[name], `data.split.${name}`, namesField) ?? [];
    return {
      by: "column",
      column: textField(column, "data.split.column"),
      evaluation: named("evaluation"),
      test: named("test"),
    };
  }
  const fields = objectField(value, "data.split", ["evaluation", "test", "seed"]);
  const evaluation = shareField(fields.evaluation, "data.split.evaluation");
  const test = shareField(fields.test, "data.split.test");
  if (!(evaluation + test > 0 && evaluation + test < 1))
    refuseField("data.split", value, "shares whose sum is above 0 and below 1");
  return { by: "hash", evaluation, test, seed: wholeField(fields.seed ?? 0, "data.split.seed", 0) };
}

/** Does a split give examples to a set? */
export function takes(split: SplitPlan, name: SetName): boolean {
  if (name === "train") return true;
  return split.by === "hash" ? split[name] > 0 : split[name].length > 0;
}

function classesField(value: unknown, where: string): DataConfig["classes"] {
  if (typeof value === "number") return wholeField(value, where, 1);
  return typeof value === "string" ? textField(value, where) : listField(value, where, textField);
}

/** Default names of the columns, which many files have. */
const TEXT = "text";
const LABEL = "label";

/**
 * @param objective its kind says whether there are labels
 * @throws EngineError BAD_CONFIG naming the field
 */
export function dataField(value: unknown, objective: string): DataConfig {
  const fields = objectField(value, "data", FIELDS);
  const kind = wordField(fields.kind, "data.kind", Object.keys(dataFiles) as DataKind[]);
  const masked = objective === "masked-language-modelling";
  if (masked !== (kind === "corpus"))
    refuseField(
      "data.kind",
      kind,
      masked ? "corpus for masked-language-modelling" : `examples with labels for ${objective}`,
    );
  const sets = setNames.flatMap((name): [SetName, SetFiles][] => {
    const found = fields[name];
    return found === undefined && name !== "train" ? [] : [[name, setField(found, `data.${name}`, kind)]];
  });
  const split = optionalField(fields.split, "data.split", (given) => splitField(given, kind));
  const both = sets.find(([name]) => name !== "train" && split !== null && takes(split, name));
  if (both !== undefined) refuseField(`data.split.${both[0]}`, split, `nothing: there are files for data.${both[0]}`);
  const labels = namesField(fields.labels ?? LABEL, "data.labels");
  if (labels.length > 1 && objective === "cross-entropy")
    refuseField("data.labels", labels, "one label; several take binary-cross-entropy or squared-error");
  const limit = objectField(fields.limit ?? {}, "data.limit", setNames);
  const text = namesField(fields.text ?? TEXT, "data.text");
  if (text.length > 2) refuseField("data.text", text, "one column, or a pair of them");
  const share = numberField(fields.masked ?? 0.15, "data.masked", 0);
  return {
    kind,
    sets: Object.fromEntries(sets),
    text,
    labels,
    classes: optionalField(fields.classes, "data.classes", classesField),
    groups: optionalField(fields.groups, "data.groups", textField),
    emptyClasses: wordField(fields.emptyClasses ?? "refuse", "data.emptyClasses", ["refuse", "allow"]),
    split,
    limit: Object.fromEntries(
      Object.entries(limit).map(([name, most]) => [name, wholeField(most, `data.limit.${name}`, 1)]),
    ),
    length: optionalField(fields.length, "data.length", (most, where) => wholeField(most, where, 4)),
    long: wordField(fields.long ?? "refuse", "data.long", ["refuse", "cut", "leave-out"]),
    sampleRate: optionalField(fields.sampleRate, "data.sampleRate", (rate, where) => wholeField(rate, where, 1)),
    crop: wordField(fields.crop ?? "center", "data.crop", ["start", "center"]),
    masked: share > 0 && share < 1 ? share : refuseField("data.masked", share, "a share above 0 and below 1"),
  };
}
