/**
 * @file Between the layout of AdapterHub files and the canonical one: norms that stand twice in a file, and GPT-2's fused
 * query-key-value map, which holds one LoRA per enabled matrix (MATHS §2.7, §3.1).
 */

import { EngineError } from "../../errors.ts";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { FUSED } from "./key-names.ts";
import type { LeftTensor, PlainTensor } from "./types.ts";
import { badWeights, sameBits } from "./weights-file.ts";

type Tensors = ReadonlyMap<string, PlainTensor>;

const LINEAR_BEHIND_NORM = "adapter_down.1.";
const DOWN = "adapter_down.0.";
const NORM = "adapter_norm_before.";

/**
 * With `ln_before` the file holds the norm as `adapter_norm_before` and again as `adapter_down.0`, the linear map as
 * `adapter_down.1`. Here the copies are compared and dropped, and the linear map is `adapter_down.0` as everywhere.
 * @throws EngineError `BAD_WEIGHTS` when the two copies differ.
 */
export function dropNormCopies(tensors: Tensors, left: LeftTensor[], where: string): Map<string, PlainTensor> {
  const sites = new Set<string>();
  for (const name of tensors.keys()) {
    const at = name.indexOf(LINEAR_BEHIND_NORM);
    if (at >= 0) sites.add(name.slice(0, at));
  }
  const result = new Map<string, PlainTensor>();
  const differing: string[] = [];
  for (const [name, tensor] of tensors) {
    const at = name.search(/adapter_down\.[01]\./);
    const site = at < 0 ? "" : name.slice(0, at);
    if (at < 0 || !sites.has(site)) result.set(name, tensor);
    else if (name.startsWith(LINEAR_BEHIND_NORM, at)) {
      result.set(site + DOWN + name.slice(at + LINEAR_BEHIND_NORM.length), tensor);
    } else {
      const norm = site + NORM + name.slice(at + DOWN.length);
      const kept = tensors.get(norm);
      if (kept === undefined) result.set(norm, tensor);
      else if (sameBits(kept, tensor)) left.push({ name, reason: `a copy of ${norm}` });
      else differing.push(`${name} and ${norm}`);
    }
  }
  if (differing.length > 0) throw badWeights(where, `these should be equal and are not: ${differing.join("; ")}.`);
  return result;
}

/** The inverse of {@link dropNormCopies}: canonical names as the library's, the norms twice. */
export function withNormCopies(tensors: Tensors): Map<string, PlainTensor> {
  const result = new Map<string, PlainTensor>();
  for (const [name, tensor] of tensors) {
    const down = name.indexOf(DOWN);
    const norm = name.indexOf(NORM);
    if (down >= 0 && tensors.has(`${name.slice(0, down)}${NORM}weight`)) {
      result.set(name.slice(0, down) + LINEAR_BEHIND_NORM + name.slice(down + DOWN.length), tensor);
      continue;
    }
    result.set(name, tensor);
    if (norm >= 0) result.set(name.slice(0, norm) + DOWN + name.slice(norm + NORM.length), tensor);
  }
  return result;
}

const letters: readonly (readonly [string, string])[] = [
  ["q", "query"],
  ["k", "key"],
  ["v", "value"],
];

/** Maps that the LoRA of a configuration is applied to, in the order in which a fused map stacks them. */
function enabledMaps(config: JsonObject): string[] {
  const members = Array.isArray(config["configs"]) ? config["configs"].filter(isJsonObject) : [config];
  const lora = members.find((member) => member["architecture"] === "lora") ?? config;
  const matrices = lora["attn_matrices"];
  const preset = typeof lora["preset"] === "string" ? lora["preset"] : "";
  const enabled: unknown[] = Array.isArray(matrices) ? matrices : preset.startsWith("ia3") ? ["k", "v"] : ["q", "v"];
  return letters.filter(([letter]) => enabled.includes(letter)).map(([, map]) => map);
}

/** Splits what stands under `layers.{i}.fused.` into equal row blocks, one per enabled matrix. */
export function splitFused(tensors: Tensors, config: JsonObject, where: string): Map<string, PlainTensor> {
  const maps = enabledMaps(config);
  const result = new Map<string, PlainTensor>();
  const wrong: string[] = [];
  for (const [name, tensor] of tensors) {
    const [, layer, tail = ""] = new RegExp(`^(layers\\.\\d+\\.)${FUSED}\\.(.+)$`).exec(name) ?? [];
    if (layer === undefined) {
      result.set(name, tensor);
      continue;
    }
    if (tail.startsWith("vera_")) throw fusedVera(where);
    const rows = tensor.shape[0] ?? 0;
    if (maps.length === 0 || rows === 0 || rows % maps.length !== 0) wrong.push(`${name} [${tensor.shape.join(", ")}]`);
    else
      for (const [index, map] of maps.entries())
        result.set(`${layer}${map}.${tail}`, rowBlock(tensor, index, maps.length));
  }
  if (wrong.length > 0) {
    throw badWeights(where, `not divisible by the ${maps.length} matrices of attn_matrices: ${wrong.join("; ")}.`);
  }
  return result;
}

/**
 * The inverse of {@link splitFused}.
 * @throws EngineError `BAD_WEIGHTS` where a layer lacks a matrix that attn_matrices names, or has one that it does not.
 */
export function joinFused(tensors: Tensors, config: JsonObject, where: string): Map<string, PlainTensor> {
  const maps = enabledMaps(config);
  const result = new Map<string, PlainTensor>();
  const wrong: string[] = [];
  for (const [name, tensor] of tensors) {
    const [, layer, map = "", tail = ""] = /^(layers\.\d+\.)(query|key|value)\.(.+)$/.exec(name) ?? [];
    const joined = `${layer}${FUSED}.${tail}`;
    if (layer === undefined) result.set(name, tensor);
    else if (tail.startsWith("vera_")) throw fusedVera(where);
    else if (!maps.includes(map)) wrong.push(`${name} is not in attn_matrices`);
    else if (!result.has(joined)) {
      const parts = maps.map((part) => tensors.get(`${layer}${part}.${tail}`));
      const alike = parts.filter((part) => part?.shape.join() === tensor.shape.join());
      if (alike.length === maps.length) result.set(joined, stackRows(alike as PlainTensor[]));
      else wrong.push(`${name} lacks counterparts of its shape`);
    }
  }
  if (wrong.length > 0) throw badWeights(where, `the fused map cannot be written: ${wrong.join("; ")}.`);
  return result;
}

function fusedVera(where: string): EngineError {
  return new EngineError("UNSUPPORTED", `${where}: VeRA on a fused query-key-value map mixes the three matrices.`, {
    fix: "Use LoRA, DoRA or IA³ on this host.",
    where,
  });
}

/** Rows `index` of `count` equal blocks, as a view. */
export function rowBlock({ shape, data }: PlainTensor, index: number, count: number): PlainTensor {
  const size = data.length / count;
  const [rows = 0, ...rest] = shape;
  return { shape: [rows / count, ...rest], data: data.subarray(index * size, (index + 1) * size) };
}

/** Tensors of one width on top of one another. */
export function stackRows(parts: readonly PlainTensor[]): PlainTensor {
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  const rows = parts.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  return { shape: [rows, ...(parts[0]?.shape.slice(1) ?? [])], data };
}
