/** @file Hashes of what the numbers of a sweep depend on: contents of files, never their paths. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { EngineError } from "../errors.ts";
import { isTokenizerName } from "../inputs/choose.ts";
import type { SweepConfig } from "../sweep/config.ts";
import type { Fingerprint } from "../sweep/record.ts";
import { isPreset } from "./adapter-options.ts";
import { readJson } from "./files.ts";

const DIGITS = 16;

/** Files beside the weights that a model is made from. */
const MODEL_FILES: ReadonlySet<string> = new Set([
  "config.json",
  "vocab.txt",
  "tokenizer.json",
  "tokenizer_config.json",
  "preprocessor_config.json",
]);

function hashText(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, DIGITS);
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (cause) {
    throw new EngineError("NOT_FOUND", `${path} cannot be read`, { where: path, fix: "check the path", cause });
  }
  return hash.digest("hex");
}

/** Name and hash of the files of a folder that `wanted` takes. */
async function hashFolder(folder: string, wanted: (name: string) => boolean): Promise<Record<string, string>> {
  const names = (await readdir(folder)).filter(wanted).sort();
  const files: Record<string, string> = {};
  for (const name of names) {
    const path = join(folder, name);
    if ((await stat(path)).isFile()) files[name] = await hashFile(path);
  }
  return files;
}

/** The weights file, and of an index the shards that it names. */
async function weightFiles(folder: string, file: string): Promise<ReadonlySet<string>> {
  if (!file.endsWith(".index.json")) return new Set([file]);
  const { weight_map: map } = await readJson(join(folder, file));
  return new Set([file, ...Object.values((map ?? {}) as Record<string, string>)]);
}

async function modelHash({ model }: SweepConfig, root: string, weights: string): Promise<string> {
  const folder = resolve(root, model.folder);
  const own = await weightFiles(folder, weights);
  const files = await hashFolder(folder, (name) => own.has(name) || MODEL_FILES.has(name));
  const config = typeof model.config === "string" ? await readJson(resolve(root, model.config)) : model.config;
  const { tokenizer: given } = model;
  const tokenizer =
    given === null || isTokenizerName(given)
      ? given
      : await hashFolder(resolve(root, given), (name) => MODEL_FILES.has(name));
  return hashText(JSON.stringify({ files, config, tokenizer, precision: model.precision }));
}

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
    modelHash(config, root, weights),
    dataHash(config, root),
    configHash(config, root),
  ]);
  return { model, data, config: own };
}
