/** @file Blocks on which the `adapters` library fails, or whose quirk is not reproduced (MATHS §2.8, §3.1): refused by name under compat. */

import { EngineError } from "../errors.ts";
import type { Composition } from "./composition.ts";
import { isBlock, leavesOf } from "./composition.ts";
import { GROUPS } from "./pack-linear.ts";
import type { PackedAdapter } from "./packed.ts";
import type { ProgramNames } from "./program.ts";
import type { AdapterStructure, MapGroup } from "./structure.ts";

/**
 * Upstream fails on an average, split, batch split or parallel block with a child that is absent where another one stands.
 * @throws EngineError UNSUPPORTED naming the first such place
 */
export function checkSamePlaces(kind: string, children: readonly Composition[], names: ProgramNames): void {
  const places = children.map((child) => {
    const all = leavesOf(child).map((name) => names.adapter(name));
    return new Set(all.flatMap(({ structure, resident }) => placesOf(structure, resident.packed)));
  });
  const lacking = [...new Set(places.flatMap((own) => [...own]))].find((place) =>
    places.some((own) => !own.has(place)),
  );
  if (lacking === undefined) return;
  const message = `compat: ${kind} with a child that has nothing at ${lacking}, where another one has; the library fails there`;
  throw new EngineError("UNSUPPORTED", message, { where: "setActive", fix: "leave compat away" });
}

/**
 * Upstream lets the last adapter of a composition put every other one's change onto a linear map, and runs the blocks of a
 * stack as functions of each other: reproduced for stacks of LoRA, for IA³ but in averages, and for blocks of LoRA.
 * @throws EngineError UNSUPPORTED naming the first linear map at which others meet
 */
export function checkLinear(composition: Composition, names: ProgramNames): void {
  const refuse = (what: string, place: string): never => {
    throw new EngineError("UNSUPPORTED", `compat: ${what} at ${place}`, {
      where: "setActive",
      fix: "leave compat away",
    });
  };
  for (const [place, kinds] of linearKinds(composition, names)) {
    const different = [...new Set(kinds)];
    if (kinds.length > 1 && (different.length > 1 || different[0] === "DoRA"))
      refuse(`${different.join(" beside ")} in one composition`, place);
  }
  checkAverages(composition, names, refuse);
  if (composition.kind !== "stack" || composition.children.every(({ kind }) => kind === "adapter")) return;
  const own = composition.children.map((child) => ({ child, kinds: linearKinds(child, names) }));
  for (const { child, kinds } of own.filter((one) => one.child.kind !== "adapter")) {
    for (const [place, [kind]] of kinds) {
      if (kind === "LoRA" && own.some((other) => other.child !== child && other.kinds.has(place)))
        refuse(`a stack of LoRA and ${child.kind} of LoRA`, place);
    }
  }
}

/** Upstream averages the vectors of IA³ and divides by N once more: a map that shrinks for no reason. */
function checkAverages(
  composition: Composition,
  names: ProgramNames,
  refuse: (what: string, place: string) => never,
): void {
  if (!isBlock(composition)) return;
  if (composition.kind === "average") {
    for (const [place, kinds] of linearKinds(composition, names))
      if (kinds.includes("IA³")) refuse("average of IA³", place);
  }
  for (const child of composition.children) checkAverages(child, names, refuse);
}

/** What the adapters of a composition are at every group of linear maps, one entry per adapter. */
function linearKinds(composition: Composition, names: ProgramNames): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of new Set(leavesOf(composition))) {
    names.adapter(name).structure.layers.forEach(({ linear }, layer) => {
      for (const [group, { lora, scale }] of Object.entries(linear)) {
        const place = `layers.${layer}.${group}`;
        const kind = lora ? (scale ? "DoRA" : "LoRA") : "IA³";
        found.set(place, [...(found.get(place) ?? []), kind]);
      }
    });
  }
  return found;
}

/** The bottlenecks and linear maps of an adapter as "layers.0.ffn" or "layers.0.query". */
function placesOf({ layers }: AdapterStructure, { entries }: PackedAdapter): string[] {
  return layers.flatMap(({ bottlenecks, linear }, layer) => {
    const maps = Object.entries(linear).flatMap(([group, { table }]) => {
      const own = entries.filter((entry) => entry.table.name.startsWith(`${table}.`));
      return own.flatMap(({ maps: numbers = [] }) =>
        numbers.map((number) => GROUPS[group as MapGroup][number] as string),
      );
    });
    return [...Object.keys(bottlenecks), ...new Set(maps)].map((place) => `layers.${layer}.${place}`);
  });
}

/**
 * Upstream fills the shorter prefixes of branches side by side with positions whose key and value are the pad id and whose
 * score is one too high. Attention has no such positions here.
 * @throws EngineError UNSUPPORTED
 */
export function checkPrefixLengths(branches: readonly Composition[], names: ProgramNames): void {
  const lengths = branches.map((branch) => prefixLengths(branch, names));
  const layers = Math.max(...lengths.map(({ length }) => length));
  for (let layer = 0; layer < layers; layer += 1) {
    const found = lengths.map((branch) => branch[layer] ?? 0);
    if (found.every((length) => length === found[0])) continue;
    const message = `compat: prefixes of ${found.join(", ")} positions side by side (layer ${layer}); the library attends to its padding of the shorter ones`;
    const fix = "leave compat away, or use prefixes of one length";
    throw new EngineError("UNSUPPORTED", message, { where: "setActive", fix });
  }
}

/** Positions that a branch puts in front of the keys, by layer. */
function prefixLengths(composition: Composition, names: ProgramNames): number[] {
  if (composition.kind === "none") return [];
  if (composition.kind === "adapter") {
    const { resident, structure } = names.adapter(composition.name);
    return structure.layers.map(({ prefix }) => (prefix === null ? 0 : resident.packed.prefixRows));
  }
  const inner = composition.children.map((child) => prefixLengths(child, names));
  const layers = Math.max(...inner.map(({ length }) => length));
  const join = (values: readonly number[]): number =>
    composition.kind === "stack" ? values.reduce((a, b) => a + b, 0) : Math.max(...values);
  return Array.from({ length: layers }, (_, layer) => join(inner.map((branch) => branch[layer] ?? 0)));
}
