/** @file The JSON envelope of AdapterHub files (MATHS §3.1), and what old versions of the library wrote differently. */

import { EngineError } from "../../errors.ts";
import type { Folder } from "../folder.ts";
import { isJsonObject, readJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { isCount } from "../tensor.ts";

/** The fields around the inner configuration. */
export interface Envelope {
  readonly where: string;
  readonly name: string | null;
  readonly family: string | null;
  readonly hiddenSize: number | null;
  readonly version: string | null;
  readonly modelClass: string | null;
  readonly modelName: string | null;
  /** The whole object as read. */
  readonly fields: JsonObject;
}

/** A `BAD_CONFIG` error about a configuration file. */
export function badConfig(
  where: string,
  message: string,
  fix: string = "Correct the configuration, or save the adapter again.",
): EngineError {
  return new EngineError("BAD_CONFIG", `${where}: ${message}`, { fix, where });
}

/**
 * Reads a configuration file and its envelope fields.
 * @throws EngineError `NOT_FOUND`, `BAD_FILE` for malformed JSON, `BAD_CONFIG` with every envelope field of a wrong type.
 */
export async function readEnvelope(folder: Folder, file: string): Promise<Envelope> {
  const where = `${folder.name}/${file}`;
  return envelopeOf(readJsonObject(await folder.read(file), where), where);
}

/** The envelope of an object already read. */
export function envelopeOf(fields: JsonObject, where: string): Envelope {
  const wrong: string[] = [];
  const text = (field: string): string | null => {
    const value = fields[field] ?? null;
    if (value === null || typeof value === "string") return value;
    wrong.push(`${field} must be a string, not ${JSON.stringify(value)}`);
    return null;
  };
  const size = fields["hidden_size"] ?? null;
  if (size !== null && !isCount(size)) wrong.push(`hidden_size must be a count, not ${JSON.stringify(size)}`);
  const envelope = {
    where,
    name: text("name"),
    family: text("model_type"),
    hiddenSize: isCount(size) ? size : null,
    version: text("version"),
    modelClass: text("model_class"),
    modelName: text("model_name"),
    fields,
  };
  if (wrong.length > 0) throw badConfig(where, `${wrong.join("; ")}.`);
  return envelope;
}

/** Activation names of files without a version: `gelu` was the tanh form then (MATHS §3.1). */
const oldActivations: ReadonlyMap<unknown, string> = new Map([
  ["gelu", "gelu_new"],
  ["gelu_orig", "gelu"],
]);

/** LoRA files before this version were trained without α/r. */
const SCALED_LORA_SINCE: readonly number[] = [1, 1, 0];
const VERSION_PREFIX = "adapters.";

/**
 * The inner configuration as today's library would have written it. A preset name becomes `{ preset: name }`.
 * @throws EngineError `BAD_CONFIG` when there is no inner configuration.
 */
export function innerConfig(envelope: Envelope): JsonObject {
  const config = envelope.fields["config"];
  if (typeof config === "string" && config !== "") return { preset: config };
  if (!isJsonObject(config)) {
    throw badConfig(
      envelope.where,
      `"config" must be an object or the name of a preset, not ${JSON.stringify(config)}.`,
    );
  }
  return updated(config, envelope);
}

function updated(config: JsonObject, envelope: Envelope): JsonObject {
  const { configs } = config;
  if (Array.isArray(configs)) {
    const members = configs.map((member: unknown, index) => {
      if (!isJsonObject(member)) throw badConfig(envelope.where, `configs[${index}] of the union is not an object.`);
      return updatedMember(member, envelope);
    });
    return { ...config, configs: members };
  }
  return updatedMember(config, envelope);
}

function updatedMember(config: JsonObject, envelope: Envelope): JsonObject {
  const { invertible_adapter: nested, ...rest } = config;
  const result: JsonObject = { ...rest };
  if (isJsonObject(nested)) {
    result["inv_adapter"] = nested["block_type"] ?? null;
    result["inv_adapter_reduction_factor"] = nested["reduction_factor"] ?? null;
  } else if (nested !== undefined && nested !== null && nested !== false) {
    throw badConfig(envelope.where, "invertible_adapter is neither an object nor null.");
  }
  if (envelope.version === null) {
    const renamed = oldActivations.get(result["non_linearity"]);
    if (renamed !== undefined) result["non_linearity"] = renamed;
  }
  if (result["architecture"] === "lora" && isOlder(envelope.version, SCALED_LORA_SINCE)) result["alpha"] = result["r"];
  return result;
}

/** Whether an `adapters.X.Y.Z` version comes before another; development versions come before their release. */
function isOlder(version: string | null, than: readonly number[]): boolean {
  if (version === null || !version.startsWith(VERSION_PREFIX)) return false;
  const [, numbers = "", rest = ""] = /^([0-9.]*)(.*)$/.exec(version.slice(VERSION_PREFIX.length)) ?? [];
  const parts = numbers
    .split(".")
    .filter((part) => part !== "")
    .map(Number);
  for (const [index, part] of than.entries()) if ((parts[index] ?? 0) !== part) return (parts[index] ?? 0) < part;
  return /^(a|b|rc|dev)/.test(rest);
}

/**
 * Drops the invertible adapter that task adapters of old files list but ship no weights for.
 * @returns the configuration, and whether it was changed.
 */
export function withoutPhantomInverse(
  config: JsonObject,
  envelope: Envelope,
  names: Iterable<string>,
): readonly [JsonObject, boolean] {
  const old = envelope.version === null || envelope.fields["type"] === "text_task";
  if (!old || !config["inv_adapter"]) return [config, false];
  for (const name of names) if (name.startsWith("invertible.")) return [config, false];
  return [{ ...config, inv_adapter: null, inv_adapter_reduction_factor: null }, true];
}
