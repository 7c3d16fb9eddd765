/** @file Groups the tensors of a PEFT file by the module they adapt. */

import type { PlainTensor } from "../adapter-hub/types.ts";
import type { JsonObject } from "../json.ts";
import { ModulePaths } from "./module-paths.ts";
import type { ModuleMaps } from "./module-paths.ts";

/** Before every module path in a key. */
export const KEY_PREFIX = "base_model.model.";

/** A PEFT file's content under canonical names. */
export interface ReadPeft {
  readonly config: JsonObject;
  readonly tensors: Map<string, PlainTensor>;
  /** Keys that belong to no adapted module. */
  readonly rest: readonly string[];
}

/** One adapted module: its path without `base_model.model.`, and its tensors by kind. */
export interface AdaptedModule extends ModuleMaps {
  readonly path: string;
  readonly tensors: Map<string, PlainTensor>;
}

/**
 * @param kinds the endings of keys, without their dot, and what each is called here.
 * @returns the modules of known families, in the order of the file, and the keys of everything else.
 */
export function groupModules(
  tensors: ReadonlyMap<string, PlainTensor>,
  kinds: readonly (readonly [RegExp, string])[],
): { modules: AdaptedModule[]; rest: string[] } {
  const paths = new ModulePaths();
  const modules = new Map<string, AdaptedModule>();
  const rest: string[] = [];
  for (const [key, tensor] of tensors) {
    const inner = key.startsWith(KEY_PREFIX) ? key.slice(KEY_PREFIX.length) : key;
    const kind = kinds.find(([ending]) => ending.test(inner));
    const path = kind === undefined ? "" : inner.replace(kind[0], "");
    const found = modules.get(path) ?? paths.find(path);
    if (kind === undefined || found === undefined) {
      rest.push(key);
      continue;
    }
    const module =
      "tensors" in found ? (found as AdaptedModule) : { ...found, path, tensors: new Map<string, PlainTensor>() };
    // Two spellings of one tensor: the second is reported like a stranger.
    if (module.tensors.has(kind[1])) rest.push(key);
    else module.tensors.set(kind[1], tensor);
    modules.set(path, module);
  }
  return { modules: [...modules.values()], rest };
}

/** Canonical name of a map: `layers.3.query`. */
export function mapName(module: ModuleMaps, map: string): string {
  return `layers.${module.layer}.${map}`;
}
