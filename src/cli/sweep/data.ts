/** @file The data set of a sweep: sequences with their labels from files, cut into batches. */

import { resolve } from "node:path";
import { EngineError } from "../../errors.ts";
import { readIdxLabels } from "../../formats/idx.ts";
import { parseTable } from "../../inputs/csv.ts";
import type { Model } from "../../model/model.ts";
import type { SweepBatch } from "../../sweep/batch.ts";
import type { SweepConfig, SweepData } from "../../sweep/config.ts";
import { reactionAtoms, readPublished } from "../../sweep/reaction.ts";
import type { PublishedReaction } from "../../sweep/reaction.ts";
import { linesOf, readBytes, readJson, readText } from "../files.ts";
import { readRawClips } from "../run/audio.ts";
import { inputOf, prepare } from "../run/batches.ts";
import type { Prepared } from "../run/batches.ts";
import { readImages } from "../run/images.ts";
import { readInputs } from "../run/inputs.ts";
import type { Sequence } from "../run/inputs.ts";
import type { InputOptions } from "../run/options.ts";

interface Labelled {
  readonly sequences: readonly Sequence[];
  readonly labels: readonly number[] | null;
  /** Something that people should read once. */
  readonly notes: readonly string[];
}

const PLAIN: Omit<InputOptions, "path"> = {
  column: undefined,
  limit: undefined,
  skipLong: false,
  clips: undefined,
  sampleRate: undefined,
  crop: undefined,
};

/** Labels of a column as numbers of classes: a name of the list stands for its place, a number for itself. */
async function namedLabels(table: string, column: string, names: string): Promise<number[]> {
  const known = linesOf(await readText(names)).map((name) => name.trim());
  const { lines, ...rest } = parseTable(await readText(table), { where: table });
  return rest.column(column).map((name, row) => {
    const label = known.indexOf(name);
    if (label >= 0) return label;
    if (/^\d+$/.test(name) && Number(name) < known.length) return Number(name);
    const where = `${table}:${lines[row]}`;
    throw new EngineError("BAD_FILE", `${where}: ${names} has no label ${JSON.stringify(name)}`, {
      where,
      fix: "list every label, one a line, in the order of the model's classes",
    });
  });
}

async function numberedLabels(path: string): Promise<number[]> {
  return linesOf(await readText(path)).map((line, index) => {
    if (/^\d+$/.test(line.trim())) return Number(line);
    const where = `${path}:${index + 1}`;
    throw new EngineError("BAD_FILE", `${where} is ${JSON.stringify(line)}, expected the number of a class`, { where });
  });
}

async function readAll({ kind, files, column }: SweepData, root: string, model: Model): Promise<Labelled> {
  const { input } = model.host.shape;
  const path = (name: string): string => resolve(root, files[name] as string);
  const labels = files.labels === undefined ? null : path("labels");
  if (kind === "reactions-csv") {
    const { sequences, notes } = await readInputs({ ...PLAIN, path: path("table"), column }, input);
    return { sequences, labels: null, notes };
  }
  if (kind === "labelled-clips") {
    const table = path("table");
    const sequences = await readRawClips({ ...PLAIN, path: path("clips"), clips: table }, input);
    return { sequences, labels: await namedLabels(table, column, labels as string), notes: [] };
  }
  if (kind === "idx-images") {
    const sequences = await readImages(path("images"));
    return {
      sequences,
      labels: Array.from(readIdxLabels(await readBytes(labels as string), labels as string)),
      notes: [],
    };
  }
  const { sequences, notes } = await readInputs({ ...PLAIN, path: path("lines") }, input);
  return { sequences, labels: labels === null ? null : await numberedLabels(labels), notes };
}

/** Every so many-th entry, at most `limit` of them. */
function thinned<T>(list: readonly T[], { every, limit }: SweepData): readonly T[] {
  return list.filter((_, index) => index % every === 0).slice(0, limit ?? undefined);
}

function intoBatches(ready: readonly Prepared[], most: number): number[][] {
  const batches: number[][] = [];
  let tokens = 0;
  ready.forEach(({ tokens: { length } }, index) => {
    const last = batches.at(-1);
    if (last !== undefined && tokens + length <= most) {
      last.push(index);
      tokens += length;
    } else {
      batches.push([index]);
      tokens = length;
    }
  });
  return batches;
}

/** Tokenizes; a sweep leaves nothing out, so that all its points are about the same sequences. */
function tokenized(sequences: readonly Sequence[], model: Model): readonly Prepared[] {
  try {
    return prepare(sequences, model, { ...PLAIN, path: "" }).ready;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const { code, message, where } = error;
    throw new EngineError(code, message, { where, fix: "change the data set, or its limit", cause: error });
  }
}

/** A data set in batches, and what people should read about it once. */
export interface SweepInput {
  readonly batches: readonly SweepBatch[];
  readonly notes: readonly string[];
}

/**
 * Reads the data set of a sweep.
 * @throws EngineError NOT_FOUND, BAD_FILE, BAD_INPUT for sequences over the model's length
 */
export async function readBatches({ data, batch }: SweepConfig, root: string, model: Model): Promise<SweepInput> {
  const { sequences, labels, notes } = await readAll(data, root, model);
  if (labels !== null && labels.length !== sequences.length) {
    const where = resolve(root, data.files.labels as string);
    const message = `there are ${labels.length} labels for ${sequences.length} sequences`;
    throw new EngineError("BAD_FILE", message, { where, fix: "give one label per sequence" });
  }
  const ready = tokenized(thinned(sequences, data), model);
  const kept = labels === null ? null : thinned(labels, data);
  const reactions = data.kind === "reactions-csv";
  const batches = intoBatches(ready, batch).map((places): SweepBatch => {
    const own = places.map((place) => ready[place] as Prepared);
    return {
      input: inputOf(own, undefined),
      rows: own.map(({ tokens }) => tokens.length),
      labels: kept === null ? null : places.map((place) => kept[place] as number),
      atoms: reactions ? own.map(({ tokens }) => reactionAtoms(tokens)) : null,
    };
  });
  return { batches, notes };
}

/** Reads reactions with published confidences, where the task names a file of them. */
export async function readConfidences({ task }: SweepConfig, root: string): Promise<readonly PublishedReaction[]> {
  if (task.metric !== "mapping-agreement" || task.confidences === null) return [];
  const path = resolve(root, task.confidences);
  return readPublished(await readJson(path), path);
}
