/** @file Sorts the tensors of one adapter's or fusion's file: ours, copies, other adapters', unknown ones. */

import { EngineError } from "../../errors.ts";
import { familyOf, families } from "./families.ts";
import type { Family } from "./families.ts";
import { KeyNames } from "./key-names.ts";
import type { LeftTensor, PlainTensor } from "./types.ts";
import { badWeights } from "./weights-file.ts";

/** A file's tensors under canonical names, and the rest of its keys. */
export interface SortedKeys {
  readonly name: string;
  readonly tensors: Map<string, PlainTensor>;
  readonly unexpected: string[];
  readonly left: LeftTensor[];
}

/** What a file says about whose tensors it holds. */
export interface KeyOwner {
  readonly name: string | null;
  readonly family: string | null;
}

/**
 * Takes the tensors of the adapter (or fusion) that the configuration names; without a name, of the only one there.
 * @throws EngineError `UNSUPPORTED` for a family whose keys are not known; `BAD_WEIGHTS` for a file of other adapters
 * only, of several adapters without a name to choose by, of nothing known, or with one tensor under two keys.
 */
export function sortKeys(
  tensors: ReadonlyMap<string, PlainTensor>,
  owner: KeyOwner,
  content: "adapter" | "fusion",
  where: string,
): SortedKeys {
  const candidates = familiesFor(owner.family, where).map((family) => new KeyNames(family, content));
  let best: SortedKeys | undefined;
  let others = new Set<string>();
  for (const names of candidates) {
    const strangers = new Set<string>();
    let sorted = sortFor(tensors, names, owner.name ?? "", strangers, where);
    if (owner.name === null && strangers.size === 1) {
      sorted = sortFor(tensors, names, [...strangers][0] as string, new Set(), where);
    }
    const gain = sorted.tensors.size - (best?.tensors.size ?? -1);
    if (gain < 0 || (gain === 0 && strangers.size <= others.size)) continue;
    best = sorted;
    others = strangers;
  }
  if (best === undefined || (best.tensors.size === 0 && tensors.size > 0)) {
    throw nothingThere(tensors, owner, content, others, where);
  }
  return best;
}

function familiesFor(modelType: string | null, where: string): Family[] {
  if (modelType === null) return Object.keys(families) as Family[];
  const family = familyOf(modelType);
  if (family !== undefined) return [family];
  throw new EngineError("UNSUPPORTED", `${where}: adapters of ${JSON.stringify(modelType)} hosts are not known.`, {
    fix: `Known model types: ${Object.keys(families).join(", ")}.`,
    where,
  });
}

function sortFor(
  tensors: ReadonlyMap<string, PlainTensor>,
  names: KeyNames,
  adapter: string,
  strangers: Set<string>,
  where: string,
): SortedKeys {
  const sorted: SortedKeys = { name: adapter, tensors: new Map(), unexpected: [], left: [] };
  const twice: string[] = [];
  for (const [key, tensor] of tensors) {
    const read = names.read(key, adapter);
    if (read.kind === "tensor") {
      if (sorted.tensors.has(read.name)) twice.push(read.name);
      sorted.tensors.set(read.name, tensor);
    } else if (read.kind === "copy") sorted.left.push({ name: key, reason: "a copy of the shared prefix" });
    else if (read.kind === "other") {
      strangers.add(read.adapter);
      sorted.left.push({ name: key, reason: `belongs to ${JSON.stringify(read.adapter)}` });
    } else sorted.unexpected.push(key);
  }
  if (twice.length > 0) throw badWeights(where, `these stand there under two keys: ${twice.join(", ")}.`);
  return sorted;
}

function nothingThere(
  tensors: ReadonlyMap<string, PlainTensor>,
  owner: KeyOwner,
  content: string,
  others: ReadonlySet<string>,
  where: string,
): EngineError {
  const quoted = [...others].map((name) => JSON.stringify(name)).join(", ");
  if (others.size > 0 && owner.name !== null) {
    const message = `the ${content} is called ${JSON.stringify(owner.name)}, but the tensors belong to ${quoted}.`;
    return badWeights(where, message, `Set "name" in the configuration to one of: ${quoted}.`);
  }
  if (others.size > 0) {
    const message = `the configuration names no ${content}, and the tensors belong to several: ${quoted}.`;
    return badWeights(where, message, `Set "name" in the configuration to one of: ${quoted}.`);
  }
  const keys = [...tensors.keys()].join(", ");
  return badWeights(
    where,
    `none of its ${tensors.size} tensors belongs to an ${content} of a ${owner.family ?? "known"} host: ${keys}.`,
  );
}
