/** @file The sets of a training, from their files to examples: read, split, limited, labelled, encoded. */

import { EngineError } from "../../errors.ts";
import { parseObject } from "../../inputs/json.ts";
import { linesOf } from "../../inputs/lines.ts";
import type { Tokenizer } from "../../inputs/tokenizer.ts";
import { setNames, takes } from "../config/data.ts";
import type { DataConfig, DataKind, SetFiles, SetName } from "../config/data.ts";
import type { ObjectiveKind } from "../config/run.ts";
import { packTexts, readCorpus, spread } from "./corpus.ts";
import { encodeRows, mostTokens } from "./encode.ts";
import type { EncodeContext } from "./encode.ts";
import { checkClasses, labelPlan, labelledRows } from "./labels.ts";
import type { LabelPlan } from "./labels.ts";
import { readClipRows, readImageRows } from "./media.ts";
import { limited, splitRows } from "./split.ts";
import { readJsonLines, readJsonLists, readLabelledLines, readPairedLines, readTableRows } from "./text.ts";
import type { DataSource, Example, Row, RowReader } from "./data.ts";

/** All examples of a training. */
export interface TrainSets {
  readonly labels: LabelPlan;
  readonly sets: Readonly<Record<SetName, readonly Example[]>>;
  /** Something that people should read once. */
  readonly notes: readonly string[];
}

const READERS: Readonly<Record<DataKind, RowReader>> = {
  table: readTableRows,
  "labelled-lines": readLabelledLines,
  lines: readPairedLines,
  "json-lines": readJsonLines,
  "json-lists": readJsonLists,
  clips: readClipRows,
  images: readImageRows,
  corpus: readCorpus,
};

/** The file that an error about labels names. */
function labelFile({ files }: SetFiles): string {
  return files.labels ?? files.table ?? files.lines ?? files.lists ?? (files.text as string);
}

/** Groups of labels: `{"banking": ["transfer", …]}`, as the label's own name in place of the group's. */
async function groupsOf({ groups }: DataConfig, source: DataSource): Promise<ReadonlyMap<string, string> | null> {
  if (groups === null) return null;
  const pairs = Object.entries(parseObject(await source.text(groups), groups)).flatMap(([group, members]) => {
    if (Array.isArray(members)) return members.map((member) => [String(member), group] as const);
    const message = `${groups}: ${JSON.stringify(group)} is no list of labels`;
    throw new EngineError("BAD_FILE", message, { where: groups, fix: "write an object of lists" });
  });
  return new Map(pairs);
}

/** The classes: as they are given, or the lines or the JSON list of a file. */
async function classesOf({ classes }: DataConfig, source: DataSource): Promise<readonly string[] | number | null> {
  if (typeof classes !== "string") return classes;
  const text = await source.text(classes);
  if (!text.trimStart().startsWith("[")) return linesOf(text).map((name) => name.trim());
  const list: unknown = JSON.parse(text);
  if (Array.isArray(list) && list.every((name) => typeof name === "string")) return list as string[];
  throw new EngineError("BAD_FILE", `${classes} holds no list of names`, { where: classes });
}

async function readRows(config: DataConfig, source: DataSource): Promise<Record<SetName, readonly Row[]>> {
  const groups = await groupsOf(config, source);
  const read = async (name: SetName): Promise<readonly Row[]> => {
    const set = config.sets[name];
    const rows = set === undefined ? [] : await READERS[config.kind](set, config, source);
    if (set !== undefined && rows.length === 0)
      throw new EngineError("BAD_FILE", `${labelFile(set)} is empty`, {
        where: `data.${name}`,
        fix: "name a file with examples",
      });
    if (groups === null) return rows;
    return rows.map((row) => ({ ...row, labels: row.labels.map((label) => groups.get(label) ?? label) }));
  };
  const own = { train: await read("train"), evaluation: await read("evaluation"), test: await read("test") };
  if (config.split === null) return own;
  const { split } = config;
  const divided = splitRows(own.train, split);
  for (const name of setNames) {
    if (!takes(split, name) || divided[name].length > 0) continue;
    const message = `the split leaves no example for data.${name}`;
    throw new EngineError("BAD_INPUT", message, { where: "data.split", fix: "choose other shares" });
  }
  return {
    train: divided.train,
    evaluation: takes(split, "evaluation") ? divided.evaluation : own.evaluation,
    test: takes(split, "test") ? divided.test : own.test,
  };
}

/** Sequences of a corpus, whose targets are drawn step by step. */
function corpusSets(
  rows: Record<SetName, readonly Row[]>,
  config: DataConfig,
  context: EncodeContext,
): TrainSets["sets"] {
  const { shape } = context;
  if (shape.input.kind !== "ids" || context.tokenizer === null)
    throw new EngineError("BAD_INPUT", `a ${shape.family} model reads no texts`, { where: "data.kind" });
  const tokenizer: Tokenizer = context.tokenizer();
  const texts = (own: readonly Row[]): string[] =>
    own.flatMap(({ content }) => (content.kind === "text" ? [content.text as string] : []));
  const pack = (name: SetName): readonly Example[] =>
    spread(packTexts(texts(rows[name]), tokenizer, mostTokens(config, shape), `data.${name}`), config.limit[name]);
  return { train: pack("train"), evaluation: pack("evaluation"), test: pack("test") };
}

/**
 * Reads everything that a training learns from and is measured on.
 * @throws EngineError NOT_FOUND, BAD_FILE, BAD_INPUT, BAD_CONFIG, UNKNOWN_NAME: one for each file, naming its first broken rows
 */
export async function readSets(
  config: DataConfig,
  objective: ObjectiveKind,
  source: DataSource,
  context: EncodeContext,
): Promise<TrainSets> {
  const rows = await readRows(config, source);
  if (objective === "masked-language-modelling") {
    const labels = labelPlan(objective, config, [], null);
    return { labels, sets: corpusSets(rows, config, context), notes: [] };
  }
  const labels = labelPlan(objective, config, rows.train, await classesOf(config, source));
  const notes: string[] = [];
  const setOf = (name: SetName): readonly Example[] => {
    const files = labelFile(config.sets[name] ?? (config.sets.train as SetFiles));
    const known = labelledRows(rows[name], labels, files);
    const missing = rows[name].length - known.length;
    if (missing > 0) notes.push(`data.${name}: ${missing} rows have no label and are left out`);
    const places = new Map(known.map(({ row, targets }) => [row, targets]));
    const own = limited([...places.keys()], config.limit[name]);
    const targets = own.map((row) => places.get(row) as readonly number[]);
    const { examples, leftOut } = encodeRows(own, targets, context, config);
    if (leftOut > 0)
      notes.push(
        `data.${name}: ${leftOut} sequences are longer than ${mostTokens(config, context.shape)} tokens and left out`,
      );
    return examples;
  };
  const sets = { train: setOf("train"), evaluation: setOf("evaluation"), test: setOf("test") };
  const targets = sets.train.map(({ targets: some }) => some);
  if (config.emptyClasses === "refuse") checkClasses(objective, labels, targets, "train");
  return { labels, sets, notes };
}
