/** @file What callers hand in for adapters, fusions and heads (names of presets, folders, plain data), as one kind of description. */

import { compositionFromJson } from "../adapters/composition-json.ts";
import type { Composition } from "../adapters/composition.ts";
import type { AdapterSource } from "../adapters/define.ts";
import { adapterPresets } from "../adapters/config/presets.ts";
import { fusionPresets } from "../adapters/fusion-config.ts";
import { refuseMisfits } from "../adapters/tensors.ts";
import type { AdapterTensor, AdapterTensors } from "../adapters/tensors.ts";
import { EngineError } from "../errors.ts";
import { ADAPTER_CONFIG, readAdapterFolder } from "../formats/adapter-hub/read-adapter.ts";
import { readFusionFolder } from "../formats/adapter-hub/read-fusion.ts";
import { readHeadFolder } from "../formats/adapter-hub/read-head.ts";
import type { StoredOrigin } from "../formats/adapter-hub/types.ts";
import { SETUP_FILE, readSetupFolder } from "../formats/adapter-hub/setup.ts";
import type { Folder } from "../formats/folder.ts";
import type { HostShape } from "../hosts/host.ts";
import type { HeadSource } from "./added-heads.ts";

/** Tensors as plain data, by canonical name. */
export type PlainTensors = Readonly<Record<string, { readonly data: Float32Array; readonly shape: readonly number[] }>>;

/** An adapter: a preset's name, a folder (or the path or URL of one), or a configuration with or without tensors. */
export type AdapterInput =
  | string
  | URL
  | Folder
  | {
      readonly config: string | Readonly<Record<string, unknown>>;
      readonly tensors?: PlainTensors;
      /** Of fresh tensors, where the configuration has none. */
      readonly seed?: number;
    };

/** A fusion: a preset's name, a folder, or a configuration with or without tensors. */
export type FusionInput = AdapterInput | Readonly<Record<string, unknown>>;

/** A head: a folder, or a configuration with or without tensors. */
export type HeadInput =
  | string
  | URL
  | Folder
  | { readonly config: Readonly<Record<string, unknown>>; readonly tensors?: PlainTensors; readonly seed?: number }
  | Readonly<Record<string, unknown>>;

/** Opens a path or URL: the faces know how. */
export type OpenFolder = (place: string | URL) => Folder;

/** What was read for an adapter. */
export interface ReadAdapter {
  readonly source: AdapterSource;
  readonly bytes: number;
  /** The head that lies in the same folder. */
  readonly head: HeadSource | null;
  /** Where it was read from; null for presets and plain data. */
  readonly folder: Folder | null;
}

/** @returns whether a folder is given, and neither its place nor plain data. */
export function isFolder(input: unknown): input is Folder {
  return typeof input === "object" && input !== null && "read" in input && "has" in input;
}

/** @returns canonical tensors of plain data. */
export function tensorMap(tensors: PlainTensors | ReadonlyMap<string, AdapterTensor>): AdapterTensors {
  return tensors instanceof Map ? tensors : new Map(Object.entries(tensors as PlainTensors));
}

/** @throws EngineError NOT_FOUND, or UNKNOWN_NAME for a word that is neither a preset nor a folder */
async function open(
  input: string | URL | Folder,
  file: string,
  openFolder: OpenFolder,
  presets: readonly string[],
): Promise<Folder> {
  if (isFolder(input)) return input;
  const folder = openFolder(input);
  const word = typeof input === "string" && /^[\w+]+$/.test(input);
  if (!word || (await folder.has(file).catch(() => false))) return folder;
  throw new EngineError("UNKNOWN_NAME", `${input} is neither a preset nor a folder with ${file}`, {
    where: input,
    fix: presets.length === 0 ? "name a folder" : `name a folder, or one of ${presets.join(", ")}`,
  });
}

/** Reads what an adapter is made from. */
export async function readAdapterInput(
  name: string,
  input: AdapterInput,
  shape: HostShape,
  openFolder: OpenFolder,
): Promise<ReadAdapter> {
  if (typeof input === "string" && Object.hasOwn(adapterPresets, input))
    return { source: { format: "hub", config: input, where: `adapter ${name}` }, bytes: 0, head: null, folder: null };
  if (typeof input === "object" && "config" in input) {
    const tensors = input.tensors === undefined ? {} : { tensors: tensorMap(input.tensors) };
    return {
      source: { format: "hub", config: input.config, where: `adapter ${name}`, seed: input.seed, ...tensors },
      bytes: 0,
      head: null,
      folder: null,
    };
  }
  const folder = await open(input as string | URL | Folder, ADAPTER_CONFIG, openFolder, Object.keys(adapterPresets));
  const stored = await readAdapterFolder(folder);
  checkFit(name, stored, shape);
  const { preset } = stored.config;
  const config = typeof preset === "string" ? preset : stored.config;
  const where = `adapter ${name} (${folder.name})`;
  const { format, tensors, unexpected, bytes } = stored;
  const head = stored.hasHead ? await readHeadInput(folder, openFolder) : null;
  return {
    source: { format, config, tensors, unexpected, where },
    bytes,
    head: head === null ? null : { ...head, along: true },
    folder,
  };
}

/** Families whose adapters share their places and names with another's. */
function kin(family: string): string {
  return family === "xlm-roberta" ? "roberta" : family;
}

/** The library's generation whose files are read. */
const LIBRARY_GENERATION = 1;

/** @throws EngineError BAD_WEIGHTS with everything in which adapter and host differ */
function checkFit(
  name: string,
  stored: Pick<StoredOrigin, "family" | "hiddenSize" | "version"> & { readonly tensors: AdapterTensors },
  shape: HostShape,
): void {
  const problems: string[] = [];
  const { family, hiddenSize, tensors, version } = stored;
  const generation = /^adapters\.(\d+)/.exec(version ?? "")?.[1];
  if (Number(generation ?? 0) > LIBRARY_GENERATION)
    problems.push(`version: written by ${version}, files up to adapters.${LIBRARY_GENERATION} are read`);
  if (family !== null && kin(family) !== kin(shape.family))
    problems.push(`family: made for ${family}, the host is ${shape.family}`);
  if (hiddenSize !== null && hiddenSize !== shape.width)
    problems.push(`width: made for ${hiddenSize}, the host has ${shape.width}`);
  const layers = [...tensors.keys()].flatMap((key) => /^layers\.(\d+)\./.exec(key)?.[1] ?? []).map(Number);
  const deepest = Math.max(-1, ...layers);
  if (deepest >= shape.layers) problems.push(`layers: it names layer ${deepest}, the host has ${shape.layers}`);
  if (hiddenSize !== null && hiddenSize !== shape.width) {
    for (const [key, { shape: axes }] of tensors)
      if (axes.includes(hiddenSize)) problems.push(`wrong shape: ${key} [${axes.join(", ")}]`);
  }
  const fix = "load the host that the adapter was trained on";
  refuseMisfits(`adapter ${name} does not fit the host`, problems, { where: name, fix });
}

/** What was read for a fusion; names of null mean that it does not say which adapters it joins. */
export interface ReadFusionInput {
  readonly names: readonly string[] | null;
  readonly config: unknown;
  readonly tensors: AdapterTensors | null;
  /** Of fresh tensors. */
  readonly seed?: number;
}

/** Reads what a fusion is made from. */
export async function readFusionInput(
  input: FusionInput,
  shape: HostShape,
  openFolder: OpenFolder,
): Promise<ReadFusionInput> {
  if (typeof input === "string" && Object.hasOwn(fusionPresets, input))
    return { names: null, config: input, tensors: null };
  if (typeof input === "object" && !isFolder(input) && !(input instanceof URL)) {
    if (!("config" in input)) return { names: null, config: input, tensors: null };
    const { tensors, seed = 0 } = input as { tensors?: PlainTensors; seed?: number };
    return { names: null, config: input.config, tensors: tensors === undefined ? null : tensorMap(tensors), seed };
  }
  const folder = await open(input, "adapter_fusion_config.json", openFolder, Object.keys(fusionPresets));
  const stored = await readFusionFolder(folder);
  checkFit(stored.names.join(","), stored, shape);
  const { preset } = stored.config;
  return { names: stored.names, config: typeof preset === "string" ? preset : stored.config, tensors: stored.tensors };
}

/** Reads what a head is made from. */
export async function readHeadInput(input: HeadInput, openFolder: OpenFolder): Promise<HeadSource> {
  if (typeof input === "object" && !isFolder(input) && !(input instanceof URL)) {
    if (!("config" in input)) return { config: input };
    const { config, tensors, seed } = input as Extract<
      HeadInput,
      { config: Readonly<Record<string, unknown>>; seed?: number }
    >;
    return {
      config,
      ...(tensors === undefined ? {} : { tensors: tensorMap(tensors as PlainTensors) }),
      ...(seed === undefined ? {} : { seed: seed as number }),
    };
  }
  const folder = await open(input, "head_config.json", openFolder, []);
  const { config, tensors, hiddenSize } = await readHeadFolder(folder);
  return { config: hiddenSize === null ? config : { config, hidden_size: hiddenSize }, tensors };
}

/** Reads the composition of a saved setup. */
export async function readSetup(input: string | URL | Folder, openFolder: OpenFolder): Promise<Composition> {
  const folder = await open(input, SETUP_FILE, openFolder, []);
  return compositionFromJson(await readSetupFolder(folder));
}
