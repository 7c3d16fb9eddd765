/** @file Questions to a compiled composition: which of its leaves have something at a site. */

import type { Program } from "./program.ts";
import type { LayerStructure } from "./structure.ts";
import { standsIn } from "./structure.ts";

/** A leaf of a program. */
export type ProgramLeaf = Extract<Program, { kind: "leaf" }>;

/** @returns the leaves in order, from left to right. */
export function leaves(program: Program): ProgramLeaf[] {
  switch (program.kind) {
    case "none":
      return [];
    case "leaf":
      return [program];
    case "choose":
      return program.groups.flatMap(({ program: child }) => leaves(child));
    case "copies":
      return leaves(program.program);
    default:
      return program.children.flatMap(leaves);
  }
}

/** @returns true when a leaf has what is asked for in a layer. */
export function someLayer(program: Program, layer: number, has: (at: LayerStructure) => boolean): boolean {
  return leaves(program).some(({ structure }) => has(structure.layers[layer] as LayerStructure));
}

/** @returns the leaves that carry a prefix in a layer. */
export function prefixesOf(program: Program, layer: number): ProgramLeaf[] {
  return leaves(program).filter(({ structure }) => (structure.layers[layer]?.prefix ?? null) !== null);
}

/** @returns the leaves that bring a prompt. */
export function promptsOf(program: Program): ProgramLeaf[] {
  return leaves(program).filter(({ structure }) => structure.embedding.prompt !== null);
}

/** @returns the leaves that bring an invertible adapter. */
export function invertiblesOf(program: Program): ProgramLeaf[] {
  return leaves(program).filter(({ structure }) => structure.embedding.invertible);
}

/** @returns the part of a program that runs on copies of the batch, or null. */
export function copiedPart(program: Program): Program | null {
  if (program.kind === "copies") return program.program;
  if (program.kind !== "stack") return null;
  return program.children.map(copiedPart).find((part) => part !== null) ?? null;
}

/** Where the batch is first copied: at the embedding, at the input of a layer, at one of its residual sites, or at the end. */
export type CopyPoint =
  | { readonly at: "embedding" | "end" }
  | { readonly at: "input" | "attention" | "ffn"; readonly layer: number };

/**
 * @param routed says of a layer whether only some rows take its heavy path
 * @returns the first site at which copies differ; null without copies. Everything below is computed once for all.
 */
export function copyPoint(program: Program, layers: number, routed: (layer: number) => boolean): CopyPoint | null {
  const part = copiedPart(program);
  if (part === null) return null;
  if (promptsOf(part).length > 0 || invertiblesOf(part).length > 0) return { at: "embedding" };
  for (let layer = 0; layer < layers; layer += 1) {
    if (!someLayer(part, layer, standsIn)) continue;
    const early = someLayer(part, layer, ({ bottlenecks, linear, prefix }) => {
      return bottlenecks.layer !== undefined || prefix !== null || Object.keys(linear).length > 0;
    });
    if (early || routed(layer)) return { at: "input", layer };
    const attention = someLayer(part, layer, ({ bottlenecks }) => bottlenecks.attention !== undefined);
    return { at: attention ? "attention" : "ffn", layer };
  }
  return { at: "end" };
}
