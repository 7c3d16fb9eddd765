/** @file The output folder of a sweep: `sweep.json`, and one file per finished point, each whole or not there. */

import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../errors.ts";
import { asManifest } from "../../sweep/manifest.ts";
import type { Manifest } from "../../sweep/manifest.ts";
import { expectSame, parseRecord, recordText } from "../../sweep/record.ts";
import type { Fingerprint, PointRecord } from "../../sweep/record.ts";
import { readJson, readText, writeWhole } from "../files.ts";

const MANIFEST = "sweep.json";
const POINTS = "points";

/** Makes the folder. @throws EngineError NOT_FOUND where that cannot be */
export async function makeStore(folder: string): Promise<void> {
  try {
    await mkdir(join(folder, POINTS), { recursive: true });
  } catch (cause) {
    const problem = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new EngineError("NOT_FOUND", `${folder} cannot be a folder of results (${problem})`, {
      where: folder,
      fix: "name another folder",
      cause,
    });
  }
}

/** @returns what the folder is about, or null for a folder without a sweep. */
export async function readManifest(folder: string): Promise<Manifest | null> {
  const path = join(folder, MANIFEST);
  const there = await stat(path).catch(() => null);
  return there === null ? null : asManifest(await readJson(path), path);
}

/** Writes what the folder is about. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  await writeWhole(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
}

/**
 * Reads all finished points of a folder; files that are being written are no points yet.
 * @throws EngineError BAD_INPUT for a point of another sweep, naming both; BAD_FILE for what is no point
 */
export async function readPoints(folder: string, fingerprint: Fingerprint): Promise<Map<string, PointRecord>> {
  const names = await readdir(join(folder, POINTS)).catch(() => []);
  const records = new Map<string, PointRecord>();
  for (const name of names.filter((file) => file.endsWith(".json")).sort()) {
    const path = join(folder, POINTS, name);
    const record = parseRecord(await readText(path), path);
    if (`${record.id}.json` !== name) {
      const message = `${path} holds the point ${record.id}`;
      throw new EngineError("BAD_FILE", message, { where: path, fix: "delete it, or give it its own name again" });
    }
    expectSame(record.fingerprint, fingerprint, path);
    records.set(record.id, record);
  }
  return records;
}

/** Writes a finished point. */
export async function writePoint(folder: string, record: PointRecord): Promise<void> {
  await writeWhole(join(folder, POINTS, `${record.id}.json`), recordText(record));
}
