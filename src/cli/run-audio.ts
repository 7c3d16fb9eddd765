/** @file Audio files as sequences: WAV files, and raw 16-bit samples cut into clips by a table. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../errors.ts";
import type { HostInput } from "../hosts/host.ts";
import { parseTable } from "../inputs/csv.ts";
import type { Table } from "../inputs/csv.ts";
import { readWav } from "../inputs/wav.ts";
import { readBytes, readText } from "./files.ts";
import type { Sequence } from "./run-inputs.ts";
import type { InputOptions } from "./run-options.ts";

/** 16-bit full scale. */
const FULL_SCALE = 32768;

/** A WAV file, or all of a folder in the order of their names. */
export async function readWavFiles(path: string, folder: boolean): Promise<Sequence[]> {
  const names = folder ? (await readdir(path)).filter((name) => /\.wav$/i.test(name)).sort() : [];
  const files = folder ? names.map((name) => join(path, name)) : [path];
  const sequences: Sequence[] = [];
  for (const file of files) {
    const { samples, sampleRate } = readWav(await readBytes(file), file);
    sequences.push({ place: file, data: { kind: "audio", samples, sampleRate } });
  }
  return sequences;
}

/** First sample and length of every clip. */
function clipRanges(table: Table | null, total: number, length: number): [number, number][] {
  if (table !== null && table.columns.includes("offset_samples")) {
    const lengths = table.column("samples");
    return table.column("offset_samples").map((offset, row) => [Number(offset), Number(lengths[row])]);
  }
  const count = table === null ? Math.floor(total / length) : table.rows.length;
  return Array.from({ length: count }, (_, clip) => [clip * length, length]);
}

/**
 * Cuts raw little-endian 16-bit samples into clips.
 * @throws EngineError BAD_FILE where the table names samples that are not there, BAD_INPUT for hosts without audio
 */
export async function readRawClips(options: InputOptions, input: HostInput): Promise<Sequence[]> {
  const { path, clips } = options;
  if (input.kind !== "audio")
    throw new EngineError("BAD_INPUT", `${path} holds audio; the model reads texts or ids`, { where: path });
  const bytes = await readBytes(path);
  if (bytes.byteLength % 2 !== 0)
    throw new EngineError("BAD_FILE", `${path} has an odd number of bytes, so it is not 16-bit samples`, {
      where: path,
    });
  const total = bytes.byteLength / 2;
  const table = clips === undefined ? null : parseTable(await readText(clips), { where: clips });
  if (table === null && total % input.samples !== 0) {
    const message = `${path} has ${total} samples, which is no multiple of the model's ${input.samples}`;
    throw new EngineError("BAD_FILE", message, {
      where: path,
      fix: "pass --tsv with the offset and length of every clip",
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sampleRate = options.sampleRate ?? input.sampleRate;
  const labels = table?.columns.includes("label") === true ? table.column("label") : null;
  return clipRanges(table, total, input.samples).map(([offset, length], clip): Sequence => {
    const place = table === null ? `${path}, clip ${clip}` : `${clips}:${table.lines[clip]}`;
    const fits =
      Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0 && offset + length <= total;
    if (!fits)
      throw new EngineError("BAD_FILE", `${place} names samples ${offset} to ${offset + length} of ${total}`, {
        where: place,
      });
    const samples = Float32Array.from({ length }, (_, i) => view.getInt16(2 * (offset + i), true) / FULL_SCALE);
    const label = labels?.[clip];
    return { place, ...(label === undefined ? {} : { label }), data: { kind: "audio", samples, sampleRate } };
  });
}
