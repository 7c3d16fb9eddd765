/** @file The browser face: no file system, a device of the page or one that is handed in. */

import { folderFromFiles, folderFromUrl } from "./formats/folder.ts";
import type { Folder } from "./formats/folder.ts";
import type { Gpu } from "./gpu/gpu.ts";
import { isTokenizerName } from "./inputs/choose.ts";
import { loadFolder } from "./model/load.ts";
import type { LoadOptions } from "./model/load.ts";
import type { Model } from "./model/model.ts";

export * from "./common.ts";
export { openGpu } from "./gpu/open.ts";

/** A folder in a browser: a URL, the files that a user picked, or anything with the folder interface. */
export type BrowserFolder = string | URL | readonly File[] | Folder;

/** Options of {@link loadModel}. */
export type BrowserLoadOptions = Omit<LoadOptions, "tokenizer"> & {
  readonly tokenizer?: "smiles" | "wordpiece" | BrowserFolder;
};

function folderOf(place: BrowserFolder): Folder {
  if (Array.isArray(place)) return folderFromFiles(place as readonly File[]);
  return typeof place === "object" && "read" in place ? (place as Folder) : folderFromUrl(place as string | URL);
}

/**
 * Loads a model from a URL or from picked files.
 * @example const model = await loadModel(gpu, "https://example.org/models/bert");
 * @throws EngineError NOT_FOUND, BAD_FILE, BAD_CONFIG, BAD_WEIGHTS, LIMIT
 */
export async function loadModel(gpu: Gpu, folder: BrowserFolder, options: BrowserLoadOptions = {}): Promise<Model> {
  const { tokenizer, ...rest } = options;
  const named = tokenizer === undefined || isTokenizerName(tokenizer) ? tokenizer : folderOf(tokenizer);
  return loadFolder(gpu, folderOf(folder), named === undefined ? rest : { ...rest, tokenizer: named }, folderOf);
}
