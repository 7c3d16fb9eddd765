/** @file Writes AdapterHub folders: adapters, heads, fusions and setups, with the library's file names and keys. */

import { EngineError } from "../../errors.ts";
import { families } from "./families.ts";
import type { Family } from "./families.ts";
import { jsonBytes } from "./json-text.ts";
import { KeyNames } from "./key-names.ts";
import type { JsonObject } from "../json.ts";
import { ADAPTER_CONFIG, adapterWeights } from "./read-adapter.ts";
import { FUSION_CONFIG, fusionWeights } from "./read-fusion.ts";
import { HEAD_CONFIG, headWeights } from "./read-head.ts";
import { SETUP_FILE, parseSetup } from "./setup.ts";
import { joinFused, withNormCopies } from "./tidy.ts";
import type { PlainTensor, SetupNode } from "./types.ts";
import { writeWeightsFile } from "./weights-file.ts";
import type { WeightsWriting } from "./weights-file.ts";

/** The version of the library whose files these are. */
export const LIBRARY_VERSION = "adapters.1.2.0";

/** The part of a stored adapter, head or fusion that is written. A stored one can be passed as it is. */
export interface ToWrite {
  readonly config: Readonly<JsonObject>;
  readonly tensors: ReadonlyMap<string, PlainTensor>;
  readonly hiddenSize: number | null;
}

/** Choices of the writers. */
export interface WriteOptions extends WeightsWriting {
  readonly family: Family;
  /** The adapter's (head's) name, part of every key. */
  readonly name: string;
  /** Python class of the host; default: the family's flexible-head class. */
  readonly modelClass?: string;
  /** Checkpoint name of the host; default: empty. */
  readonly modelName?: string;
  /** T5 only: the FFN is gated, so the map `up` is `wi_1` and not `wi`. */
  readonly gatedFfn?: boolean;
}

/** Files of a folder by name. */
export type WrittenFiles = Map<string, Uint8Array>;

/**
 * Writes an adapter as the library saves it. Read back, it is equal bit for bit.
 * @throws EngineError `BAD_INPUT` with every tensor that the family has no key for; `BAD_WEIGHTS` for an incomplete
 * fused map.
 */
export function writeHubAdapter(adapter: ToWrite, options: WriteOptions): WrittenFiles {
  const { config } = adapter;
  const fused =
    families[options.family].fused === null ? adapter.tensors : joinFused(adapter.tensors, config, options.name);
  const keyed = withKeys(withNormCopies(fused), "adapter", options);
  const inner = typeof config["preset"] === "string" ? config["preset"] : config;
  return new Map([
    [ADAPTER_CONFIG, jsonBytes(envelope(inner, adapter, options))],
    writeWeightsFile(keyed, adapterWeights, options),
  ]);
}

/** Writes a fusion; its name is that of its adapters, joined by commas. */
export function writeFusionFolder(
  fusion: ToWrite & { readonly names: readonly string[] },
  options: Omit<WriteOptions, "name">,
): WrittenFiles {
  const name = fusion.names.join(",");
  const named = { ...options, name };
  const { config } = fusion;
  const inner = typeof config["preset"] === "string" ? config["preset"] : config;
  return new Map([
    [FUSION_CONFIG, jsonBytes({ ...envelope(inner, fusion, named), adapter_names: [...fusion.names] })],
    writeWeightsFile(withKeys(fusion.tensors, "fusion", named), fusionWeights, options),
  ]);
}

/** Writes a flexible head; tensors are named by what follows `heads.{N}.`. */
export function writeHeadFolder(head: ToWrite, options: WriteOptions): WrittenFiles {
  const keyed = new Map([...head.tensors].map(([tail, tensor]) => [`heads.${options.name}.${tail}`, tensor] as const));
  return new Map([
    [HEAD_CONFIG, jsonBytes(envelope(head.config, head, options))],
    writeWeightsFile(keyed, headWeights, options),
  ]);
}

/** Writes a setup as the library does: the tree under `adapter_setup`, no head setup, keys in this order. */
export function writeSetup(setup: SetupNode): WrittenFiles {
  const file = { adapter_setup: setupTree(parseSetup(setup)), head_setup: null, version: LIBRARY_VERSION };
  return new Map([[SETUP_FILE, jsonBytes(file, false)]]);
}

/** Nodes without arguments have no `kwargs`. */
function setupTree({ type, children, kwargs }: SetupNode): JsonObject {
  const tree = { type, children: children.map((child) => (typeof child === "string" ? child : setupTree(child))) };
  return Object.keys(kwargs).length === 0 ? tree : { ...tree, kwargs };
}

function envelope(config: unknown, { hiddenSize }: ToWrite, options: WriteOptions): JsonObject {
  return {
    config,
    hidden_size: hiddenSize,
    model_class: options.modelClass ?? families[options.family].modelClass,
    model_name: options.modelName ?? "",
    model_type: options.family,
    name: options.name,
    version: LIBRARY_VERSION,
  };
}

function withKeys(
  tensors: ReadonlyMap<string, PlainTensor>,
  content: "adapter" | "fusion",
  { family, name, gatedFfn = false }: WriteOptions,
): Map<string, PlainTensor> {
  const names = new KeyNames(family, content);
  const accepts = (path: string): boolean => (gatedFfn ? !path.includes(".wi.") : !path.includes(".wi_1."));
  const keyed = new Map<string, PlainTensor>();
  const homeless: string[] = [];
  for (const [canonical, tensor] of tensors) {
    const key = names.write(canonical, name, accepts);
    if (key === undefined) homeless.push(canonical);
    else keyed.set(key, tensor);
  }
  if (homeless.length > 0) {
    const message = `AdapterHub files of ${family} hosts have no place for ${homeless.length} tensors: ${homeless.join(", ")}.`;
    throw new EngineError("BAD_INPUT", message, {
      fix: "Write another format, or leave these tensors out.",
      where: name,
    });
  }
  return keyed;
}
