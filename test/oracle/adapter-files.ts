/** @file Folders as the `adapters` library writes them, in memory: configurations and tensors without the base model's prefix. */

import { readTensorFile } from "../../src/formats/checkpoint.ts";
import type { StoredTensor } from "../../src/formats/tensor.ts";
import type { Tensor } from "./rows.ts";
import { need } from "./rows.ts";

/** A folder in memory: file name → content. */
export type Files = Readonly<Record<string, Uint8Array | string>>;

/** A configuration object of a file. */
export type Config = Readonly<Record<string, unknown>>;

/** One saved adapter, fusion or head. */
export interface Saved {
  /** The name that its keys carry, whatever it is loaded as. */
  readonly name: string;
  readonly config: Config;
  /** The methods: one, or those of a union. */
  readonly methods: readonly Config[];
  /** The tensor with this key, less the base model's prefix. */
  readonly find: (key: string) => Tensor | undefined;
  readonly get: (key: string) => Tensor;
  /** Whether some key begins so. */
  readonly has: (prefix: string) => boolean;
}

const prefixes = /^(bert|roberta|transformer)\./;

/** Reads the configuration `file` and the one weights file of the names `weights` that is there. */
export function readSaved(files: Files, file: string, weights: readonly string[]): Saved {
  const envelope = readJson(files, file);
  const config = envelope["config"] as Config;
  const name = weights.find((candidate) => candidate in files);
  const tensors = new Map<string, Tensor>();
  if (name !== undefined) {
    for (const [key, tensor] of readTensors(files, name)) tensors.set(key.replace(prefixes, ""), tensor);
  }
  const get = (key: string): Tensor => need(tensors.get(key), `the tensor ${key}`);
  return {
    name: String(envelope["name"]),
    config,
    methods: config["architecture"] === "union" ? (config["configs"] as Config[]) : [config],
    find: (key) => tensors.get(key),
    get,
    has: (prefix) => [...tensors.keys()].some((key) => key.startsWith(prefix)),
  };
}

/** An adapter folder. */
export function readAdapter(files: Files): Saved {
  return readSaved(files, "adapter_config.json", ["adapter.safetensors", "pytorch_adapter.bin"]);
}

/** A fusion folder. */
export function readFusion(files: Files): Saved {
  const weights = ["model_adapter_fusion.safetensors", "pytorch_model_adapter_fusion.bin"];
  return readSaved(files, "adapter_fusion_config.json", weights);
}

/** A head's files. */
export function readHead(files: Files): Saved {
  return readSaved(files, "head_config.json", ["model_head.safetensors", "pytorch_model_head.bin"]);
}

/** A JSON file of a folder. */
export function readJson(files: Files, name: string): Record<string, unknown> {
  const file = need(files[name], name);
  return JSON.parse(typeof file === "string" ? file : new TextDecoder().decode(file)) as Record<string, unknown>;
}

/** All tensors of a weights file. */
export function readTensors(files: Files, name: string): Map<string, Tensor> {
  const bytes = need(files[name], name);
  if (typeof bytes === "string") throw new Error(`oracle: ${name} is text`);
  const stored = readTensorFile(bytes, name).tensors;
  return new Map([...stored].map(([key, tensor]) => [key, widen(tensor)]));
}

function widen({ name, dtype, shape, bytes }: StoredTensor): Tensor {
  if (dtype !== "F32") throw new Error(`oracle: ${name} is ${dtype}, not F32`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = new Float64Array(bytes.byteLength / 4);
  for (let i = 0; i < data.length; i++) data[i] = view.getFloat32(4 * i, true);
  return { shape, data };
}

/** The first method of these architectures that is in this layer and has this flag set (the library's `match`). */
export function matchMethod(
  saved: Saved,
  architecture: string | null,
  layer: number,
  flag?: string,
): Config | undefined {
  return saved.methods.find(
    (method) =>
      (method["architecture"] ?? null) === architecture &&
      !((method["leave_out"] ?? []) as number[]).includes(layer) &&
      (flag === undefined || method[flag] === true),
  );
}
