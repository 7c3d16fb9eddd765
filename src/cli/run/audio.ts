/** @file Audio files as sequences: WAV files, and raw 16-bit samples cut into clips by a table. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../errors.ts";
import type { HostInput } from "../../hosts/host.ts";
import { parseTable } from "../../inputs/csv.ts";
import { cutRawClips } from "../../inputs/raw-clips.ts";
import { readWav } from "../../inputs/wav.ts";
import { readBytes, readText } from "../files.ts";
import type { Sequence } from "./inputs.ts";
import type { InputOptions } from "./options.ts";

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

/**
 * Cuts raw little-endian 16-bit samples into clips.
 * @throws EngineError BAD_FILE where the table names samples that are not there, BAD_INPUT for hosts without audio
 */
export async function readRawClips(options: InputOptions, input: HostInput): Promise<Sequence[]> {
  const { path, clips } = options;
  if (input.kind !== "audio")
    throw new EngineError("BAD_INPUT", `${path} holds audio; the model reads texts or ids`, { where: path });
  const table = clips === undefined ? null : parseTable(await readText(clips), { where: clips });
  const cut = cutRawClips({
    bytes: await readBytes(path),
    where: path,
    table,
    tableWhere: clips ?? "",
    length: input.samples,
  });
  const sampleRate = options.sampleRate ?? input.sampleRate;
  const labels = table?.columns.includes("label") === true ? table.column("label") : null;
  return cut.map(({ place, samples }, clip): Sequence => {
    const label = labels?.[clip];
    return { place, ...(label === undefined ? {} : { label }), data: { kind: "audio", samples, sampleRate } };
  });
}
