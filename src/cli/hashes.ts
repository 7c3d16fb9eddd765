/** @file Hashes of files: of what they hold, never of where they are. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { EngineError } from "../errors.ts";
import { isTokenizerName } from "../inputs/choose.ts";
import type { ModelPlace } from "../inputs/model-place.ts";
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

/** @returns the first digits of the hash of a text, or of bytes. */
export function hashText(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex").slice(0, DIGITS);
}

/** @throws EngineError NOT_FOUND for a file that cannot be read */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (cause) {
    throw new EngineError("NOT_FOUND", `${path} cannot be read`, { where: path, fix: "check the path", cause });
  }
  return hash.digest("hex");
}

/** Name and hash of the files of a folder that `wanted` takes. */
export async function hashFolder(folder: string, wanted: (name: string) => boolean): Promise<Record<string, string>> {
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

/**
 * @param root where relative paths start
 * @param weights the file that the model was loaded from
 * @throws EngineError NOT_FOUND for files that cannot be read
 */
export async function modelHash(model: ModelPlace, root: string, weights: string): Promise<string> {
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
