/** @file A host with its weights as a folder describes them, or drawn from a seed; nothing is on the GPU yet. */

import { EngineError } from "../errors.ts";
import { readCheckpoint, readConfig } from "../formats/checkpoint.ts";
import type { Folder } from "../formats/folder.ts";
import { readJsonObject } from "../formats/json.ts";
import type { StoredTensor } from "../formats/tensor.ts";
import type { Host } from "../hosts/host.ts";
import { buildHost, imageFamilies } from "../hosts/index.ts";
import { constantTensors, freshNames, freshWeights } from "./fresh-weights.ts";
import type { FreshOptions } from "./fresh-weights.ts";
import type { LoadOptions } from "./load.ts";
import { readWeights } from "./load-weights.ts";
import type { ReadWeights } from "./load-weights.ts";

type Config = Readonly<Record<string, unknown>>;

/** A host, its weights, and what they were made from. */
export interface ReadHost {
  readonly host: Host;
  readonly config: Config;
  readonly weights: ReadWeights;
  /** The weights file, or what stands in for it. */
  readonly file: string;
}

/** What of the options says what is read. */
type ReadOptions = Pick<LoadOptions, "config" | "weights" | "precision" | "fresh">;

const PREPROCESSOR = "preprocessor_config.json";
/** Fields of an image processor that change what a model reads; resizing and cropping are left to the caller. */
const PIXEL_FIELDS = ["image_mean", "image_std", "do_normalize", "do_rescale", "rescale_factor"] as const;

/** The configuration with what the image processor beside it says about pixels; the configuration's own fields go first. */
async function withPixels(
  folder: Folder,
  config: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  if (!imageFamilies.has(config.model_type) || !(await folder.has(PREPROCESSOR))) return config;
  const given = readJsonObject(await folder.read(PREPROCESSOR), `${folder.name}/${PREPROCESSOR}`);
  const fields = PIXEL_FIELDS.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]] as const]));
  return { ...Object.fromEntries(fields), ...config };
}

async function readStored(folder: Folder, { weights, config: given, precision }: ReadOptions): Promise<ReadHost> {
  const options = { ...(weights === undefined ? {} : { weights }), ...(given === undefined ? {} : { config: given }) };
  const { config: own, tensors, file } = await readCheckpoint(folder, options);
  const config = await withPixels(folder, own);
  const shapes = new Map([...tensors].map(([name, { shape }]) => [name, shape]));
  const host = buildHost({ config, tensors: new Set(tensors.keys()), shapes }, precision === "f16");
  return { host, config, weights: readWeights(host, tensors, file), file };
}

/** What a host computes with and nobody learns: from a checkpoint, where there is any. */
async function readConstants(
  folder: Folder,
  host: Host,
  { weights, config }: { readonly weights: string | undefined; readonly config: Config },
): Promise<readonly (readonly [string, StoredTensor])[]> {
  const names = constantTensors(host);
  if (names.length === 0) return [];
  const options = weights === undefined ? { config } : { config, weights };
  const { tensors } = await readCheckpoint(folder, options).catch((cause: unknown) => {
    throw new EngineError("UNSUPPORTED", `a fresh ${host.shape.family} needs ${names[0]}, which no seed gives`, {
      where: "fresh",
      fix: "load it from the folder of a checkpoint that holds it: only what is learned is drawn anew",
      cause,
    });
  });
  return names.flatMap((name) => {
    const tensor = tensors.get(name);
    return tensor === undefined ? [] : [[name, tensor] as const];
  });
}

async function readFresh(folder: Folder, fresh: FreshOptions, options: ReadOptions): Promise<ReadHost> {
  const { weights, precision } = options;
  const config = await withPixels(folder, options.config ?? (await readConfig(folder)));
  const host = buildHost({ config, tensors: freshNames(config) }, precision === "f16");
  const tensors = freshWeights(host, config, fresh);
  for (const [name, tensor] of await readConstants(folder, host, { weights, config })) tensors.set(name, tensor);
  const file = `fresh weights, seed ${fresh.seed}`;
  return { host, config, weights: readWeights(host, tensors, file), file };
}

/**
 * Reads a host and its weights, or draws them.
 * @throws EngineError NOT_FOUND, BAD_FILE, BAD_CONFIG, BAD_WEIGHTS (all problems listed); UNSUPPORTED for what cannot be drawn
 */
export async function readHost(folder: Folder, options: ReadOptions): Promise<ReadHost> {
  return options.fresh === undefined ? readStored(folder, options) : readFresh(folder, options.fresh, options);
}
