/**
 * @file Unpacking: what a training has made of slot data, as the tensors that the adapter is saved with. Packing copies the elements of
 * tensors to places in slots; which element went where is found by packing numbers in place of values, so that unpacking is the inverse
 * of packing by construction. What packing does more to (a product, a norm folded into a matrix) is no copy: see derivation.ts.
 */

import { EngineError } from "../errors.ts";
import { entryOfSlot } from "./bank-slots.ts";
import type { AdapterHost } from "./config/types.ts";
import { packDefinition } from "./define.ts";
import type { AdapterDefinition } from "./define.ts";
import type { BankEntry, PackedAdapter } from "./packed.ts";
import { isBottleneck } from "./packed.ts";
import type { FrozenMap } from "./linear-parts.ts";
import type { AdapterTensor, AdapterTensors } from "./tensors.ts";

/** For every element of an entry's arrays the number of the tensor element that it is a copy of; {@link NO_SOURCE} for all others. */
export type EntrySources = BottleneckSources | { readonly kind: "values"; readonly data: Int32Array };

/** Those of a bottleneck, array by array. */
export interface BottleneckSources {
  readonly kind: "bottleneck";
  readonly down: Int32Array;
  readonly downBias: Int32Array;
  readonly up: Int32Array;
  readonly upBias: Int32Array;
}

/** Where the elements of an adapter's tensors went. They are numbered through all tensors, in the order of their definition. */
export interface PackedSources {
  /** The number of the first element of every tensor. */
  readonly first: ReadonlyMap<string, number>;
  /** By table. */
  readonly entries: ReadonlyMap<string, EntrySources>;
}

/** Of an element that is no copy: room that is left over, a constant, a bias that a method does not have. */
export const NO_SOURCE = -1;

/** Whole numbers up to here are exact in f32. */
const EXACT = 2 ** 24;

/** Tensors in groups of which each can be numbered exactly. */
function groupsOf(name: string, tensors: AdapterTensors, apart: ReadonlySet<string>): string[][] {
  const groups: string[][] = [];
  let room = 0;
  for (const [tensor, { data }] of tensors) {
    if (apart.has(tensor)) continue;
    if (data.length >= EXACT)
      throw new EngineError("LIMIT", `adapter ${name}: ${tensor} has ${data.length} elements`, {
        where: tensor,
        fix: `train tensors of fewer than ${EXACT} elements`,
      });
    if (data.length >= room) {
      groups.push([]);
      room = EXACT;
    }
    (groups.at(-1) as string[]).push(tensor);
    room -= data.length;
  }
  return groups;
}

/** The tensors with numbers for values: −1, −2, … through those of the group, 0 in all others. What packing adds by itself is not negative. */
function numbered(tensors: AdapterTensors, group: ReadonlySet<string>): AdapterTensors {
  let next = 0;
  return new Map(
    [...tensors].map(([name, { shape, data }]): [string, AdapterTensor] => {
      if (!group.has(name)) return [name, { shape, data: new Float32Array(data.length) }];
      return [name, { shape, data: Float32Array.from(data, () => -(next += 1)) }];
    }),
  );
}

function blank(entry: BankEntry): EntrySources {
  const none = ({ length }: Float32Array): Int32Array => new Int32Array(length).fill(NO_SOURCE);
  if (!isBottleneck(entry)) return { kind: "values", data: none(entry.data) };
  const { down, downBias, up, upBias } = entry;
  return { kind: "bottleneck", down: none(down), downBias: none(downBias), up: none(up), upBias: none(upBias) };
}

/** Arrays of an entry beside those of its sources. */
function arraysOf(entry: BankEntry, sources: EntrySources): (readonly [Float32Array, Int32Array])[] {
  if (isBottleneck(entry) && sources.kind === "bottleneck")
    return (["down", "downBias", "up", "upBias"] as const).map((part) => [entry[part], sources[part]]);
  if (!isBottleneck(entry) && sources.kind === "values") return [[entry.data, sources.data]];
  throw new Error(`the table ${entry.table.name} has changed its kind`);
}

/** Tensors that slots hold no copies of, and the frozen weights where packing asks for them. */
export interface PackedApart {
  readonly apart?: ReadonlySet<string>;
  readonly frozen?: FrozenMap | undefined;
}

/** What packing puts into slots whatever the tensors are, by table. */
function constantsOf(packed: PackedAdapter): ReadonlyMap<string, readonly Float32Array[]> {
  return new Map(
    packed.entries.map((entry) => [entry.table.name, arraysOf(entry, blank(entry)).map(([values]) => values)]),
  );
}

/**
 * Finds where the elements of an adapter's tensors went when it was packed.
 * @throws EngineError UNSUPPORTED, naming adapter and tensor, for an adapter of which packing did not copy every element to one place;
 * LIMIT
 */
export function sourcesOf(
  name: string,
  definition: AdapterDefinition,
  host: AdapterHost,
  { apart = new Set(), frozen }: PackedApart = {},
): PackedSources {
  const { tensors } = definition;
  const pack = (group: ReadonlySet<string>): PackedAdapter =>
    packDefinition({ ...definition, tensors: numbered(tensors, group) }, host, frozen);
  const empty = pack(new Set());
  const constants = constantsOf(empty);
  const first = new Map<string, number>();
  let count = 0;
  for (const [tensor, { data }] of tensors) {
    first.set(tensor, count);
    count += data.length;
  }
  const entries = new Map(empty.entries.map((entry) => [entry.table.name, blank(entry)]));
  const uses = new Uint8Array(count);
  for (const group of groupsOf(name, tensors, apart)) {
    const numbers = numbersOf(group, tensors, first);
    for (const entry of pack(new Set(group)).entries) {
      const table = entry.table.name;
      arraysOf(entry, entries.get(table) as EntrySources).forEach(([values, places], index) =>
        take({ values, constant: constants.get(table)?.[index] as Float32Array, places }, numbers, uses),
      );
    }
  }
  for (const [tensor, { data }] of tensors) {
    if (apart.has(tensor)) continue;
    const at = first.get(tensor) as number;
    if (uses.subarray(at, at + data.length).some((times) => times !== 1)) throw notCopied(name, tensor);
  }
  return { first, entries };
}

/** The elements of a group by the numbers that stand for them, from 1 on: see {@link numbered}. */
function numbersOf(group: readonly string[], tensors: AdapterTensors, first: ReadonlyMap<string, number>): Int32Array {
  return Int32Array.from(
    group.flatMap((name) => Array.from(tensors.get(name)?.data ?? [], (_, at) => (first.get(name) as number) + at)),
  );
}

/** Notes the numbers that stand among packed values, and how often each one does. */
function take(
  { values, constant, places }: { values: Float32Array; constant: Float32Array; places: Int32Array },
  numbers: Int32Array,
  uses: Uint8Array,
): void {
  values.forEach((value, index) => {
    if (!(value < 0) || value === constant[index]) return;
    // What is no whole number, or counts past the end, leaves the element that it was made of without a use.
    const source = numbers[-value - 1];
    if (source === undefined) return;
    places[index] = source;
    uses[source] = Math.min(2, (uses[source] as number) + 1);
  });
}

function notCopied(name: string, tensor: string): EngineError {
  return new EngineError("UNSUPPORTED", `adapter ${name}: ${tensor} is not kept as it is, so it cannot be trained`, {
    where: tensor,
    fix: "train a method whose tensors run as they are stored",
  });
}

/** An adapter as slots hold it now: what it is saved with, and what it would be packed to. */
export interface Unpacked {
  readonly tensors: AdapterTensors;
  readonly packed: PackedAdapter;
}

/**
 * Unpacks an adapter.
 * @param slots the elements of its slot by table, with the room that the table's slots have
 */
export function unpack(
  definition: AdapterDefinition,
  packed: PackedAdapter,
  { first, entries: sources }: PackedSources,
  slots: ReadonlyMap<string, { readonly data: Float32Array; readonly room: number }>,
): Unpacked {
  const entries = packed.entries.map((entry) => {
    const { data, room } = slots.get(entry.table.name) as { data: Float32Array; room: number };
    return entryOfSlot(entry, data, room);
  });
  // Tensors that slots hold no copies of stay as they were.
  const all = new Float32Array([...definition.tensors.values()].reduce((sum, { data }) => sum + data.length, 0));
  for (const [name, { data }] of definition.tensors) all.set(data, first.get(name));
  for (const entry of entries)
    for (const [values, places] of arraysOf(entry, sources.get(entry.table.name) as EntrySources))
      places.forEach((source, index) => {
        if (source !== NO_SOURCE) all[source] = values[index] as number;
      });
  const tensors = new Map(
    [...definition.tensors].map(([name, { shape, data }]): [string, AdapterTensor] => {
      const at = first.get(name) as number;
      return [name, { shape, data: all.slice(at, at + data.length) }];
    }),
  );
  return { tensors, packed: { ...packed, entries } };
}
