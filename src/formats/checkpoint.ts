/** @file A Hugging Face style folder as one configuration and one set of named tensors. */

import { EngineError } from "../errors.ts";
import { badFile } from "./bad-file.ts";
import { notFound } from "./folder.ts";
import type { Folder } from "./folder.ts";
import { isJsonObject, readJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { readSafetensors } from "./safetensors.ts";
import type { StoredTensor, TensorFile } from "./tensor.ts";
import { readTorch } from "./torch.ts";
import { looksLikeLegacyTorch } from "./torch-legacy.ts";
import { looksLikeZip } from "./zip.ts";

/** What {@link readCheckpoint} may be told. */
export interface CheckpointOptions {
  /** The weights file, when the folder has several or an unusual name. */
  readonly weights?: string;
  /** Stands in for `config.json`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A checkpoint's content. */
export interface Checkpoint {
  readonly config: Record<string, unknown>;
  readonly tensors: Map<string, StoredTensor>;
  /** The weights file that was read; of a sharded checkpoint, its index. */
  readonly file: string;
}

const CONFIG = "config.json";
const INDEX_SUFFIX = ".index.json";

/** In order of preference: what opens without an unpickler first. */
const weightFiles: readonly string[] = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];

/** TensorFlow-era names of LayerNorm parameters (MATHS §3.3). */
const renames: readonly (readonly [string, string])[] = [
  ["LayerNorm.gamma", "LayerNorm.weight"],
  ["LayerNorm.beta", "LayerNorm.bias"],
];

/**
 * Reads configuration and weights of a folder. Weights: the file named in `weights`, else `model.safetensors`, else its
 * shards, else `pytorch_model.bin`, else its shards. `LayerNorm.gamma` and `.beta` are returned as `.weight` and `.bias`.
 * @throws EngineError `NOT_FOUND` with what is there; `BAD_FILE` for anything malformed.
 * @example
 * const { config, tensors } = await readCheckpoint(folderFromUrl("/models/bert"));
 */
export async function readCheckpoint(folder: Folder, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const config = options.config === undefined ? await readConfig(folder) : { ...options.config };
  const file = options.weights ?? (await chooseWeights(folder));
  const read = file.endsWith(INDEX_SUFFIX) ? await readShards(folder, file) : await readWeights(folder, file);
  return { config, tensors: renameLegacy(read, file), file };
}

/**
 * Reads one weights file of any form: safetensors by its extension, otherwise by its first bytes.
 * @throws EngineError `BAD_FILE`
 */
export function readTensorFile(bytes: Uint8Array, where: string): TensorFile {
  if (where.endsWith(".safetensors")) return readSafetensors(bytes, where);
  if (looksLikeZip(bytes) || looksLikeLegacyTorch(bytes)) return readTorch(bytes, where);
  // A safetensors header opens with "{" behind its u64 length.
  if (bytes[8] === 0x7b) return readSafetensors(bytes, where);
  throw badFile(where, "the format is none of safetensors, torch zip and torch stream.");
}

/**
 * Reads `config.json`.
 * @throws EngineError NOT_FOUND, BAD_FILE
 */
export async function readConfig(folder: Folder): Promise<JsonObject> {
  if (await folder.has(CONFIG)) return readJsonObject(await folder.read(CONFIG), `${folder.name}/${CONFIG}`);
  const missing = notFound(folder.name, CONFIG, await folder.list());
  throw new EngineError("NOT_FOUND", missing.message, {
    fix: "Pass the configuration in the option `config`, or add a config.json.",
    where: missing.where,
  });
}

async function chooseWeights(folder: Folder): Promise<string> {
  for (const file of weightFiles) if (await folder.has(file)) return file;
  const present = await folder.list();
  const missing = notFound(folder.name, weightFiles[0] as string, present);
  const candidates = present.filter((name) => /\.(safetensors|bin|pt|pth)$/.test(name));
  const fix =
    candidates.length === 0
      ? "Put the weights there as model.safetensors or pytorch_model.bin."
      : `Name the weights file in the option \`weights\`: ${candidates.map((name) => JSON.stringify(name)).join(" or ")}.`;
  throw new EngineError("NOT_FOUND", missing.message, { fix, where: missing.where });
}

async function readWeights(folder: Folder, file: string): Promise<Map<string, StoredTensor>> {
  return readTensorFile(await folder.read(file), `${folder.name}/${file}`).tensors;
}

/** All tensors of all shards of an index; every tensor that the index names must come from the shard it names. */
async function readShards(folder: Folder, index: string): Promise<Map<string, StoredTensor>> {
  const where = `${folder.name}/${index}`;
  const map = readJsonObject(await folder.read(index), where)["weight_map"];
  if (!isJsonObject(map)) throw badFile(where, "it has no object weight_map.");
  const shardOf = new Map(Object.entries(map));
  const shards = new Set<string>();
  for (const [name, shard] of shardOf) {
    if (typeof shard !== "string") throw badFile(where, `weight_map ${JSON.stringify(name)} is not a file name.`);
    shards.add(shard);
  }
  const tensors = new Map<string, StoredTensor>();
  for (const shard of [...shards].sort()) {
    for (const [name, tensor] of await readWeights(folder, shard)) {
      if (shardOf.get(name) !== shard) {
        throw badFile(
          where,
          `${shard} holds the tensor ${JSON.stringify(name)}, which the index places elsewhere or nowhere.`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  const missing = [...shardOf.keys()].filter((name) => !tensors.has(name));
  if (missing.length > 0) throw badFile(where, `the shards lack ${missing.length} tensors: ${missing.join(", ")}.`);
  return tensors;
}

function renameLegacy(tensors: ReadonlyMap<string, StoredTensor>, file: string): Map<string, StoredTensor> {
  const renamed = new Map<string, StoredTensor>();
  for (const tensor of tensors.values()) {
    const rule = renames.find(([old]) => tensor.name === old || tensor.name.endsWith(`.${old}`));
    const name = rule === undefined ? tensor.name : tensor.name.slice(0, -rule[0].length) + rule[1];
    if (renamed.has(name)) throw badFile(file, `${JSON.stringify(name)} stands there under its old and its new name.`);
    renamed.set(name, rule === undefined ? tensor : { ...tensor, name });
  }
  return renamed;
}
