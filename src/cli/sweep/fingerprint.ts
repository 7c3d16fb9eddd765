/** @file Hashes of what the numbers of a sweep depend on: contents of files, never their paths. */

import { resolve } from "node:path";
import type { SweepConfig } from "../../sweep/config.ts";
import type { Fingerprint } from "../../sweep/record.ts";
import { isPreset } from "../adapter-options.ts";
import { hashFile, hashFolder, hashText, modelHash } from "../hashes.ts";

async function dataHash({ data, task }: SweepConfig, root: string): Promise<string> {
  const files: Record<string, string> = {};
  for (const [name, path] of Object.entries(data.files)) files[name] = await hashFile(resolve(root, path));
  const published = task.metric === "mapping-agreement" ? task.confidences : null;
  const confidences = published === null ? null : await hashFile(resolve(root, published));
  const { kind, column, every, limit } = data;
  return hashText(JSON.stringify({ files, confidences, kind, column, every, limit }));
}

async function configHash({ task, adapters, active, batch }: SweepConfig, root: string): Promise<string> {
  const places: Record<string, unknown> = {};
  for (const [name, place] of Object.entries(adapters))
    places[name] = isPreset(place) ? place : await hashFolder(resolve(root, place), () => true);
  const measured = task.metric === "mapping-agreement" ? { ...task, confidences: task.confidences !== null } : task;
  return hashText(JSON.stringify({ measured, places, active, batch }));
}

/**
 * @param weights the file that the model was loaded from
 * @throws EngineError NOT_FOUND for files that cannot be read
 */
export async function fingerprintOf(config: SweepConfig, root: string, weights: string): Promise<Fingerprint> {
  const [model, data, own] = await Promise.all([
    modelHash(config.model, root, weights),
    dataHash(config, root),
    configHash(config, root),
  ]);
  return { model, data, config: own };
}
