/** @file Reads a file of inputs into sequences, each of which knows where it came from. */

import { stat } from "node:fs/promises";
import { EngineError } from "../../errors.ts";
import type { HostInput } from "../../hosts/host.ts";
import { parseTable } from "../../inputs/csv.ts";
import type { Image } from "../../inputs/image.ts";
import { readRawClips, readWavFiles } from "./audio.ts";
import { namesImages, readImages } from "./images.ts";
import { linesOf, readText } from "../files.ts";
import type { InputOptions } from "./options.ts";

/** One sequence of a run. */
export interface Sequence {
  /** File and line, or the file of a clip: for errors. */
  readonly place: string;
  /** Its own adapter, null for none; absent where all have the same. */
  readonly adapter?: string | null;
  /** The right answer, where the file gives it. */
  readonly label?: string;
  readonly data:
    | { readonly kind: "text"; readonly text: string | readonly [string, string] }
    | { readonly kind: "ids"; readonly ids: readonly number[]; readonly types?: readonly number[] }
    | { readonly kind: "audio"; readonly samples: Float32Array; readonly sampleRate: number }
    | { readonly kind: "image"; readonly image: Image };
}

/** What a file held. */
export interface InputSet {
  /** Up to the limit. */
  readonly sequences: readonly Sequence[];
  /** How many there are without the limit. */
  readonly total: number;
  /** Something that people should read once. */
  readonly notes: readonly string[];
}

function refuse(where: string, message: string, fix: string): never {
  throw new EngineError("BAD_INPUT", `${where}: ${message}`, { where, fix });
}

function textSequence(path: string, line: number, text: string): Sequence {
  return { place: `${path}:${line}`, data: { kind: "text", text } };
}

/** What models of a kind read. */
const READ: Readonly<Record<HostInput["kind"], string>> = { ids: "texts or ids", audio: "audio", image: "images" };

type Read = Omit<InputSet, "total">;

function readLines(source: string, path: string): Read {
  const lines = linesOf(source);
  const sequences = lines.flatMap((text, index) => (text.trim() === "" ? [] : [textSequence(path, index + 1, text)]));
  const empty = lines.length - sequences.length;
  return { sequences, notes: empty === 0 ? [] : [`${path}: ${empty} empty lines are left out`] };
}

function readTable(source: string, path: string, column: string | undefined): Read {
  const table = parseTable(source, { delimiter: /\.tsv(\.gz)?$/i.test(path) ? "\t" : undefined, where: path });
  if (column === undefined && table.columns.length > 1) {
    const known = table.columns.map((name) => JSON.stringify(name)).join(", ");
    refuse(path, "which column holds the texts?", `pass --column with one of ${known}`);
  }
  const texts = table.column(column ?? (table.columns[0] as string));
  return { sequences: texts.map((text, index) => textSequence(path, table.lines[index] as number, text)), notes: [] };
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

function jsonSequence(line: string, place: string): Sequence {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new EngineError("BAD_FILE", `${place} is not JSON: ${(cause as Error).message}`, {
      where: place,
      fix: "write one object a line",
      cause,
    });
  }
  const { text, ids, types } = (value ?? {}) as Record<string, unknown>;
  if (typeof text === "string" && ids === undefined) return { place, data: { kind: "text", text } };
  if (Array.isArray(text) && text.length === 2 && text.every((part) => typeof part === "string") && ids === undefined) {
    return { place, data: { kind: "text", text: text as unknown as [string, string] } };
  }
  if (isNumbers(ids) && text === undefined && (types === undefined || isNumbers(types))) {
    return { place, data: { kind: "ids", ids, ...(types === undefined ? {} : { types }) } };
  }
  return refuse(
    place,
    "a line needs a text or ids",
    'write {"text": "…"}, {"text": ["a", "b"]} or {"ids": [1, 2], "types": [0, 0]}',
  );
}

function readJsonLines(source: string, path: string): Read {
  const lines = source.split(/\r?\n/).map((line, index) => ({ line, place: `${path}:${index + 1}` }));
  const sequences = lines.filter(({ line }) => line.trim() !== "").map(({ line, place }) => jsonSequence(line, place));
  const kinds = new Set(sequences.map(({ data }) => data.kind));
  if (kinds.size > 1) refuse(path, "some lines hold texts and some hold ids", "put them into two files");
  return { sequences, notes: [] };
}

async function readAny(options: InputOptions, input: HostInput): Promise<Read> {
  const { path } = options;
  const name = path.replace(/\.gz$/i, "").toLowerCase();
  const folder = (await stat(path).catch(() => null))?.isDirectory() === true;
  if (folder || name.endsWith(".wav")) return { sequences: await readWavFiles(path, folder), notes: [] };
  if (name.endsWith(".i16")) return { sequences: await readRawClips(options, input), notes: [] };
  if (options.images === true || namesImages(name)) return { sequences: await readImages(path), notes: [] };
  const source = await readText(path);
  if (name.endsWith(".csv") || name.endsWith(".tsv")) return readTable(source, path, options.column);
  if (name.endsWith(".jsonl")) return readJsonLines(source, path);
  if (name.endsWith(".txt")) return readLines(source, path);
  return refuse(
    path,
    "the ending does not say how to read it",
    "use .txt, .csv, .tsv, .jsonl, .wav, .i16, .idx or .npy, with or without .gz; --images FILE reads any name",
  );
}

/**
 * Reads the input of a run, up to `limit` sequences.
 * @throws EngineError NOT_FOUND, BAD_FILE, BAD_INPUT, UNKNOWN_NAME
 */
export async function readInputs(options: InputOptions, input: HostInput): Promise<InputSet> {
  const table = /\.(csv|tsv)(\.gz)?$/i.test(options.path);
  if (options.column !== undefined && !table)
    refuse("--column", `${options.path} is not a table`, "leave --column away");
  const { sequences, notes } = await readAny(options, input);
  const kind = sequences[0]?.data.kind ?? input.kind;
  if ((kind === "text" ? "ids" : kind) !== input.kind)
    refuse(options.path, `the model reads ${READ[input.kind]}`, "choose an input of that kind");
  if (sequences.length === 0)
    refuse(options.path, "there is nothing in it", "choose a file with at least one sequence");
  return { sequences: sequences.slice(0, options.limit), total: sequences.length, notes };
}
