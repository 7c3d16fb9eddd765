/**
 * @file A stack of LoRAs as the `adapters` library runs it (MATHS §2.5, §2.7): function composition. Each receives the
 * scaled change of the one before, and only the last change is added: s_n B_n A_n … s_1 B_1 A_1 x. The maps are linear, so the product is
 * a LoRA of its own.
 */

import { EngineError } from "../errors.ts";
import { GROUPS, LINEAR_TABLES } from "./pack-linear.ts";
import type { BottleneckEntry, PackedAdapter } from "./packed.ts";
import { isBottleneck } from "./packed.ts";
import type { LayerStructure, LinearStructure, MapGroup } from "./structure.ts";
import { multiply } from "./tensors.ts";

function entryOf(packed: PackedAdapter, table: string): BottleneckEntry | undefined {
  const entry = packed.entries.find(({ table: own }) => own.name === `${table}${LINEAR_TABLES.lora}`);
  return entry !== undefined && isBottleneck(entry) ? entry : undefined;
}

function refuse(what: string): never {
  throw new EngineError("UNSUPPORTED", `compat: a stack of ${what} at one linear map`, { where: "setActive" });
}

/** @returns true when an adapter has something at linear maps. */
export function hasLinear({ structure }: PackedAdapter): boolean {
  return structure.layers.some(({ linear }) => Object.keys(linear).length > 0);
}

/** Composes the LoRAs of adapters, first to last. Layers and maps that only some have keep what those give. */
export function composeLoras(adapters: readonly PackedAdapter[]): PackedAdapter {
  const entries: BottleneckEntry[] = [];
  const layers = (adapters[0] as PackedAdapter).structure.layers.map((_, layer): LayerStructure => {
    const linear: Partial<Record<MapGroup, LinearStructure>> = {};
    for (const group of Object.keys(GROUPS) as MapGroup[]) {
      const parts = adapters.filter(({ structure }) => structure.layers[layer]?.linear[group] !== undefined);
      const [first] = parts;
      if (first === undefined) continue;
      const structures = parts.map(({ structure }) => structure.layers[layer]?.linear[group] as LinearStructure);
      if (structures.some(({ lora, scale, gate, input }) => !lora || scale || gate || input))
        refuse("gated LoRA, DoRA or IA³ with others");
      const [structure] = structures as [LinearStructure];
      entries.push(
        composeEntries(
          parts.map((packed) => entryOf(packed, structure.table) as BottleneckEntry),
          group,
        ),
      );
      linear[group] = structure;
    }
    return { bottlenecks: {}, linear, prefix: null };
  });
  const structure = { layers, embedding: { prompt: null, invertible: false } };
  return { structure, entries, prefixRows: 0, promptRows: 0 };
}

/** B_n A_n … B_1 A_1 of one product, map by map: a map's change is what the next one's A reads. The B hold their scales. */
function composeEntries(parts: readonly BottleneckEntry[], group: MapGroup): BottleneckEntry {
  const [first, ...others] = parts as [BottleneckEntry, ...BottleneckEntry[]];
  const maps = GROUPS[group].length;
  const { inputs, outputs } = first.table;
  const columns = outputs / maps;
  if (columns !== inputs && others.length > 0) refuse("LoRA on a map that is not square");
  const rank = first.width;
  const rows = (data: Float32Array, map: number, width: number): Float32Array =>
    data.subarray(map * columns * width, (map + 1) * columns * width);
  let { up } = first;
  for (const next of others) {
    const product = new Float32Array(outputs * rank);
    for (let map = 0; map < maps; map += 1) {
      const inner = multiply(next.down, rows(up, map, rank), next.width, inputs, rank);
      product.set(multiply(rows(next.up, map, next.width), inner, columns, next.width, rank), map * columns * rank);
    }
    up = product;
  }
  return { ...first, up };
}
