/**
 * @file A stack of adapters at linear maps as the `adapters` library runs it (MATHS §2.5, §2.7): function composition. Each LoRA
 * receives the scaled change of the one before, and only the last change is added: s_n B_n A_n … s_1 B_1 A_1 x. The maps are linear,
 * so the product is a LoRA of its own. IA³ vectors multiply in any case.
 */

import { EngineError } from "../errors.ts";
import { GROUPS, LINEAR_TABLES } from "./pack-linear.ts";
import type { BankEntry, BottleneckEntry, PackedAdapter } from "./packed.ts";
import { isBottleneck } from "./packed.ts";
import type { LayerStructure, LinearStructure, MapGroup } from "./structure.ts";
import { multiply } from "./tensors.ts";

type Part = { readonly structure: LinearStructure; readonly entries: readonly BankEntry[] };

/** What an adapter has at a group of maps. */
function partOf({ structure, entries }: PackedAdapter, layer: number, group: MapGroup): Part[] {
  const own = structure.layers[layer]?.linear[group];
  if (own === undefined) return [];
  const tables = new Set(Object.values(LINEAR_TABLES).map((tail) => `${own.table}${tail}`));
  return [{ structure: own, entries: entries.filter(({ table }) => tables.has(table.name)) }];
}

function refuse(what: string): never {
  throw new EngineError("UNSUPPORTED", `compat: a stack of ${what} at one linear map`, { where: "setActive" });
}

/** @returns true when an adapter has something at linear maps. */
export function hasLinear({ structure }: PackedAdapter): boolean {
  return structure.layers.some(({ linear }) => Object.keys(linear).length > 0);
}

/** @returns true when an adapter only multiplies at linear maps, in which a stack of it is the same here and upstream. */
export function onlyScales({ structure }: PackedAdapter): boolean {
  return structure.layers.every(({ linear }) => Object.values(linear).every(({ lora }) => !lora));
}

/**
 * Composes what adapters have at linear maps, first to last. Layers and maps that only one has keep what it gives.
 * @param fused queries, keys and values are one module, which upstream lets only one adapter change
 */
export function composeLoras(adapters: readonly PackedAdapter[], fused: boolean): PackedAdapter {
  const entries: BankEntry[] = [];
  const layers = (adapters[0] as PackedAdapter).structure.layers.map((_, layer): LayerStructure => {
    const linear: Partial<Record<MapGroup, LinearStructure>> = {};
    for (const group of Object.keys(GROUPS) as MapGroup[]) {
      const parts = adapters.flatMap((packed) => partOf(packed, layer, group));
      const [first] = parts;
      if (first === undefined) continue;
      linear[group] = first.structure;
      if (parts.length > 1 && fused && group === "qkv") refuse("adapters on fused queries, keys and values");
      entries.push(...(parts.length === 1 ? first.entries : [composeParts(parts, group)]));
    }
    return { bottlenecks: {}, linear, prefix: null };
  });
  const structure = { layers, embedding: { prompt: null, invertible: false } };
  return { structure, entries, prefixRows: 0, promptRows: 0 };
}

function composeParts(parts: readonly Part[], group: MapGroup): BankEntry {
  const plain = parts.every(({ structure: { lora, scale, gate, input } }) => lora && !scale && !gate && !input);
  if (!plain) refuse("gated LoRA, DoRA, or IA³ beside LoRA");
  return composeEntries(parts.flatMap(({ entries }) => entries).filter(isBottleneck), group);
}

/**
 * s_n B_n A_n … s_1 B_1 A_1 of one product, map by map: a map's change is what the next one's A reads, of those that change this
 * map. The product holds all scales.
 */
function composeEntries(parts: readonly BottleneckEntry[], group: MapGroup): BottleneckEntry {
  const [first] = parts as [BottleneckEntry];
  const { inputs, outputs } = first.table;
  const columns = outputs / GROUPS[group].length;
  const chains = GROUPS[group].flatMap((_, map) => {
    const chain = parts.filter(({ maps }) => maps?.includes(map) === true);
    return chain.length === 0 ? [] : [{ map, chain: chain as [BottleneckEntry, ...BottleneckEntry[]] }];
  });
  if (columns !== inputs && chains.some(({ chain }) => chain.length > 1)) refuse("LoRA on a map that is not square");
  const starts = [...new Set(chains.map(({ chain }) => chain[0]))];
  const width = starts.reduce((sum, start) => sum + start.width, 0);
  const down = new Float32Array(starts.flatMap((start) => [...start.down]));
  const up = new Float32Array(outputs * width);
  for (const { map, chain } of chains) {
    const [start] = chain;
    const at = starts.slice(0, starts.indexOf(start)).reduce((sum, other) => sum + other.width, 0);
    const product = composeMap(chain, map, columns);
    for (let row = 0; row < columns; row += 1)
      up.set(product.subarray(row * start.width, (row + 1) * start.width), (map * columns + row) * width + at);
  }
  return { ...first, width, down, downBias: new Float32Array(width), up, scale: 1, maps: chains.map(({ map }) => map) };
}

/** What a map adds for what the first A made of its input: [columns, rank of the first]. */
function composeMap(
  [start, ...others]: readonly [BottleneckEntry, ...BottleneckEntry[]],
  map: number,
  columns: number,
): Float32Array {
  const rows = ({ up, width, scale }: BottleneckEntry): Float32Array =>
    up.subarray(map * columns * width, (map + 1) * columns * width).map((value) => scale * value);
  return others.reduce((made, next) => {
    const inner = multiply(next.down, made, next.width, columns, start.width);
    return Float32Array.from(multiply(rows(next), inner, columns, next.width, start.width));
  }, rows(start));
}
