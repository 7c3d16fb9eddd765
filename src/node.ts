/** @file The Node face: everything of the browser face, with Dawn as the GPU and folders on disk. */

import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { folderFromPath } from "./node/folder.ts";
import { folderFromUrl } from "./formats/folder.ts";
import type { Folder } from "./formats/folder.ts";
import type { Gpu } from "./gpu/gpu.ts";
import { isTokenizerName } from "./inputs/choose.ts";
import { loadFolder } from "./model/load.ts";
import type { LoadOptions } from "./model/load.ts";
import type { Model } from "./model/model.ts";
import type { CodaPolicy } from "./routing/coda.ts";
import { adapterFiles, fusionFiles, headFiles, setupFiles, taskFileNames, taskFiles, twinsOf } from "./model/save.ts";
import type { SaveAdapterOptions, SaveOptions } from "./model/save.ts";
import { modelFiles } from "./model/save-host.ts";
import type { SaveModelOptions } from "./model/save-host.ts";
import { readRouters, routersFile } from "./model/routers-file.ts";
import type { RouterChanges } from "./model/routers-file.ts";
import { saveFolder } from "./node/save.ts";

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
  const named = tokenizer === undefined || isTokenizerName(tokenizer) ? tokenizer : folderOf(tokenizer);
  return loadFolder(gpu, folderOf(folder), named === undefined ? rest : { ...rest, tokenizer: named }, folderOf);
}

/**
 * Writes the host of a model to a folder, made if need be: configuration, weights as they are now, and the tokenizer's files.
 * @throws EngineError UNSUPPORTED; BAD_INPUT for values that f16 cannot hold; BAD_FILE when the disk refuses
 * @example await saveModel(model, "models/mine");
 */
export async function saveModel(model: Model, folder: string | URL, options: SaveModelOptions = {}): Promise<void> {
  await saveFolder(pathOf(folder), await modelFiles(model, options));
}

/**
 * Writes an adapter to a folder, made if need be. Files are written whole or not at all.
 * @throws EngineError UNKNOWN_NAME, UNSUPPORTED; BAD_FILE when the disk refuses
 * @example await saveAdapter(model, "sentiment", "adapters/sentiment");
 */
export async function saveAdapter(
  model: Model,
  name: string,
  folder: string | URL,
  options: SaveAdapterOptions = {},
): Promise<void> {
  await save(folder, adapterFiles(model, name, options));
}

/** Writes a fusion to a folder, as {@link saveAdapter} does. */
export async function saveFusion(
  model: Model,
  name: string,
  folder: string | URL,
  options: SaveOptions = {},
): Promise<void> {
  await save(folder, fusionFiles(model, name, options));
}

/** Writes an added head to a folder, as {@link saveAdapter} does; beside an adapter it comes along with it. */
export async function saveHead(
  model: Model,
  name: string,
  folder: string | URL,
  options: SaveOptions = {},
): Promise<void> {
  await save(folder, headFiles(model, name, options));
}

/**
 * Writes the routing that is set, with the vectors of its routers, to a file.
 * @throws EngineError BAD_CONFIG where nothing is routed, or by routers without vectors; BAD_FILE when the disk refuses
 * @example await saveRouters(model, "routers.safetensors");
 */
export async function saveRouters(model: Model, file: string | URL): Promise<void> {
  const path = pathOf(file);
  await saveFolder(dirname(path), new Map([[basename(path), routersFile(model)]]));
}

/**
 * Reads trained routers.
 * @param changes options that stand in for those that the routers were trained under
 * @throws EngineError NOT_FOUND, BAD_FILE; BAD_CONFIG as `coda` does
 * @example model.setRouting(await loadRouters("routers.safetensors", { reduction: 5 }));
 */
export async function loadRouters(file: string | URL, changes: RouterChanges = {}): Promise<CodaPolicy> {
  const path = pathOf(file);
  return readRouters(await folderFromPath(dirname(path)).read(basename(path)), path, changes);
}

/** Writes `adapter_setup.json` of the active composition to a folder. */
export async function saveSetup(model: Model, folder: string | URL): Promise<void> {
  await save(folder, setupFiles(model));
}

/** Writes a deployed task to a folder of its own: a head or norms of another task that lie there are removed. */
export async function saveTask(
  model: Model,
  name: string,
  folder: string | URL,
  options: SaveAdapterOptions = {},
): Promise<void> {
  const files = taskFiles(model, name, options);
  await saveFolder(pathOf(folder), files, taskFileNames);
}

function save(folder: string | URL, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  return saveFolder(pathOf(folder), files, twinsOf(new Map(files)));
}

function pathOf(folder: string | URL): string {
  return typeof folder === "string" ? folder : fileURLToPath(folder);
}
