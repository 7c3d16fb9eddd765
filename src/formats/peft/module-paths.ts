/** @file Module paths in PEFT keys and the maps they are. PEFT does not name the family, so every table is tried. */

import { families } from "../adapter-hub/families.ts";
import type { Family, MapName } from "../adapter-hub/families.ts";
import { fill, pattern } from "../adapter-hub/key-names.ts";

/** A linear module: one map of a layer, or the three of a fused one, in the order of its rows. */
export interface ModuleMaps {
  readonly layer: number;
  readonly maps: readonly MapName[];
}

const fusedMaps: readonly MapName[] = ["query", "key", "value"];

/** Finds modules of all families, with or without the prefix of the base model. */
export class ModulePaths {
  private readonly known: readonly (readonly [RegExp, readonly MapName[]])[];

  constructor() {
    this.known = Object.values(families).flatMap(({ prefix, maps, fused }) => {
      const entry = (path: string, names: readonly MapName[]): readonly [RegExp, readonly MapName[]] => [
        new RegExp(`^(?:${pattern(prefix)})?${pattern(path)}$`),
        names,
      ];
      const single = maps.map(([map, path]) => entry(path, [map]));
      return fused === null ? single : [...single, entry(fused, fusedMaps)];
    });
  }

  find(path: string): ModuleMaps | undefined {
    for (const [expression, maps] of this.known) {
      const layer = expression.exec(path)?.[1];
      if (layer !== undefined) return { layer: Number(layer), maps };
    }
    return undefined;
  }
}

/** The path of a map, without prefix; the fused module for the maps that it holds; undefined where there is none. */
export function modulePath(family: Family, layer: string, map: string, gatedFfn: boolean): string | undefined {
  const { maps, fused } = families[family];
  if (fused !== null && fusedMaps.some((name) => name === map)) return fill(fused, layer);
  const unused = gatedFfn ? ".wi" : ".wi_1";
  const path = maps.find(([name, candidate]) => name === map && !candidate.endsWith(unused))?.[1];
  return path === undefined ? undefined : fill(path, layer);
}

/** Whether a path is the family's fused module. */
export function isFused(family: Family, path: string): boolean {
  const { fused } = families[family];
  return fused !== null && new RegExp(`^${pattern(fused)}$`).test(path);
}
