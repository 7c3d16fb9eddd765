/** @file `sweep merge`: folders of shards become one; points that disagree are refused. */

import { EngineError } from "../../errors.ts";
import { joinedManifest } from "../../sweep/manifest.ts";
import type { Manifest } from "../../sweep/manifest.ts";
import { conflicts } from "../../sweep/record.ts";
import type { PointRecord } from "../../sweep/record.ts";
import { settingsText } from "../../sweep/settings.ts";
import type { Io } from "../command.ts";
import type { MergeRequest } from "./options.ts";
import { writeResults } from "./results.ts";
import { makeStore, readManifest, readPoints, writeManifest, writePoint } from "./store.ts";

/** Conflicts that are named one by one. */
const MOST_NAMED = 5;

interface Kept {
  readonly record: PointRecord;
  readonly folder: string;
}

async function manifests({ out, folders }: MergeRequest): Promise<[string, Manifest][]> {
  const named: [string, Manifest][] = [];
  for (const folder of [out, ...folders]) {
    const manifest = await readManifest(folder);
    if (manifest !== null) named.push([folder, manifest]);
    else if (folder !== out || folders.length === 0) {
      throw new EngineError("NOT_FOUND", `${folder} holds no sweep`, {
        where: folder,
        fix: "name output folders of sweeps",
      });
    }
  }
  return named;
}

function conflictError(found: readonly string[]): EngineError {
  const more = found.length > MOST_NAMED ? `; and ${found.length - MOST_NAMED} more` : "";
  const message = `points disagree: ${found.slice(0, MOST_NAMED).join("; ")}${more}`;
  return new EngineError("BAD_INPUT", message, { where: "merge", fix: "keep one of the files, and delete the other" });
}

/**
 * Joins folders.
 * @throws EngineError BAD_INPUT for folders of different sweeps and for points with different numbers; NOT_FOUND, BAD_FILE
 */
export async function mergeSweeps(request: MergeRequest, io: Io): Promise<void> {
  const named = await manifests(request);
  const manifest = joinedManifest(named);
  const kept = new Map<string, Kept>();
  const found: string[] = [];
  for (const [folder] of named) {
    for (const [id, record] of await readPoints(folder, manifest.fingerprint)) {
      const first = kept.get(id);
      if (first === undefined) kept.set(id, { record, folder });
      else if (folder !== first.folder) {
        const differences = conflicts(first.record, record).join(", ");
        if (differences !== "")
          found.push(`${settingsText(record.settings)} (${id}): ${differences} in ${first.folder} and ${folder}`);
      }
    }
  }
  if (found.length > 0) throw conflictError(found);
  await makeStore(request.out);
  await writeManifest(request.out, manifest);
  for (const { record, folder } of kept.values()) if (folder !== request.out) await writePoint(request.out, record);
  const records = new Map([...kept].map(([id, { record }]) => [id, record]));
  await writeResults(request.out, manifest, records, { json: request.json, io });
}
