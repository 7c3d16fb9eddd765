/** @file Which elements of a slot are trained: those that are copies of an adapter's tensors, in stretches that decay or do not. */

import type { BankEntry, BottleneckEntry } from "./packed.ts";
import { isBottleneck } from "./packed.ts";
import { NO_SOURCE } from "./unpack.ts";
import type { BottleneckSources, EntrySources } from "./unpack.ts";

/** A stretch of a slot's elements that is trained. */
export interface SlotPart {
  readonly from: number;
  readonly elements: number;
  /** Matrices and rows decay, biases and vectors do not. */
  readonly decays: boolean;
  /** 1 for elements that are trained and 0 for those among them that are not; null where all are, or have no gradient anyhow. */
  readonly mask: Float32Array | null;
}

/** Part of a slot, and the sources of the elements that can have a gradient: of a bottleneck those of its active units. */
interface Region {
  readonly from: number;
  readonly elements: number;
  readonly decays: boolean;
  /** The source of an active element by its number, and where it lies in the region. */
  readonly sources: Int32Array;
  readonly placeOf: (index: number) => number;
}

const inOrder = (index: number): number => index;

/** down, up and their biases, in a slot with room for more units than are active. What units behind those hold has a gradient of 0. */
function regionsOf({ table, width }: BottleneckEntry, sources: BottleneckSources, room: number): Region[] {
  const { inputs, outputs } = table;
  const [up, biases] = [room * inputs, room * (inputs + outputs)];
  const inRows = (index: number): number => Math.floor(index / width) * room + (index % width);
  return [
    { from: 0, elements: up, decays: true, sources: sources.down, placeOf: inOrder },
    { from: up, elements: outputs * room, decays: true, sources: sources.up, placeOf: inRows },
    { from: biases, elements: room, decays: false, sources: sources.downBias, placeOf: inOrder },
    { from: biases + room, elements: outputs, decays: false, sources: sources.upBias, placeOf: inOrder },
  ];
}

function partOf({ from, elements, decays, sources, placeOf }: Region): SlotPart | null {
  const trained = sources.reduce((count, source) => count + (source === NO_SOURCE ? 0 : 1), 0);
  if (trained === 0) return null;
  if (trained === sources.length) return { from, elements, decays, mask: null };
  const mask = new Float32Array(elements);
  sources.forEach((source, index) => {
    if (source !== NO_SOURCE) mask[placeOf(index)] = 1;
  });
  return { from, elements, decays, mask };
}

/** One part in place of two that touch, where nothing tells them apart. */
function join(parts: readonly SlotPart[]): SlotPart[] {
  const joined: SlotPart[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    const touches = last !== undefined && last.from + last.elements === part.from && last.decays === part.decays;
    if (touches && last.mask === null && part.mask === null)
      joined[joined.length - 1] = { ...last, elements: last.elements + part.elements };
    else joined.push(part);
  }
  return joined;
}

/**
 * The trained parts of a slot, the first ones first: biases that a method does not have, factors of 1 beside those that it has, and the
 * blocks of LoRA's B between one map's rows and another's ranks are no part of what is trained.
 * @param room units or rows that a slot of the table has room for; 1 for vectors
 */
export function slotParts(entry: BankEntry, sources: EntrySources, room: number): SlotPart[] {
  if (isBottleneck(entry) && sources.kind === "bottleneck")
    return join(regionsOf(entry, sources, room).flatMap((region) => partOf(region) ?? []));
  if (isBottleneck(entry) || sources.kind === "bottleneck")
    throw new Error(`the table ${entry.table.name} has changed its kind`);
  const { table } = entry;
  const rows = table.kind === "rows";
  const elements = rows ? room * table.width : table.elements;
  const region = { from: 0, elements, decays: rows, sources: sources.data, placeOf: inOrder };
  const part = partOf(region);
  return part === null ? [] : [part];
}
