/** @file The Node face: everything of the browser face, with Dawn as the GPU and folders on disk. */

import { fileURLToPath } from "node:url";
import { folderFromPath } from "./node/folder.ts";
import { folderFromUrl } from "./formats/folder.ts";
import type { Folder } from "./formats/folder.ts";
import type { Gpu } from "./gpu/gpu.ts";
import { loadFolder } from "./model/load.ts";
import type { LoadOptions } from "./model/load.ts";
import type { Model } from "./model/model.ts";

export * from "./common.ts";
export { openGpu, requestAdapter } from "./node/open.ts";

/** Options of {@link loadModel}: the tokenizer's folder may be a path or URL. */
export type NodeLoadOptions = Omit<LoadOptions, "tokenizer"> & {
  readonly tokenizer?: "smiles" | "wordpiece" | string | URL | Folder;
};

function folderOf(place: string | URL | Folder): Folder {
  if (typeof place === "object" && "read" in place) return place;
  if (typeof place === "string") return folderFromPath(place);
  return place.protocol === "file:" ? folderFromPath(fileURLToPath(place)) : folderFromUrl(place);
}

/**
 * Loads a model from a Hugging Face style folder on disk.
 * @example
 * const gpu = await openGpu();
 * const model = await loadModel(gpu, "path/to/checkpoint");
 * @throws EngineError NOT_FOUND, BAD_FILE, BAD_CONFIG, BAD_WEIGHTS, LIMIT
 */
export async function loadModel(
  gpu: Gpu,
  folder: string | URL | Folder,
  options: NodeLoadOptions = {},
): Promise<Model> {
  const { tokenizer, ...rest } = options;
  const named =
    tokenizer === undefined || tokenizer === "smiles" || tokenizer === "wordpiece" ? tokenizer : folderOf(tokenizer);
  return loadFolder(gpu, folderOf(folder), named === undefined ? rest : { ...rest, tokenizer: named });
}
