/** @file Tables of selections: how many rows every sequence or block selects, and the rows that are named from outside. */

import { offsetsOf } from "../adapters/feeds.ts";
import type { View } from "../adapters/program.ts";
import { EngineError } from "../errors.ts";
import type { Router } from "../routing/router.ts";
import { blockLengths, ruleCount, selectedCount, selectionTable } from "../routing/selection.ts";
import type { SelectionName, SelectionTable } from "../routing/selection.ts";

/** Rows that a router names. */
export interface NamedRows {
  readonly given: NonNullable<Router["given"]>;
  /** The reduction factor of a layer, which bounds how many. */
  readonly reduction: (layer: number) => number;
}

/** What tables of selections are filled from. */
export interface SelectionSource {
  /** The sequences of a stage. */
  readonly views: (prefix: string) => readonly View[];
  /** Absent where the router names none. */
  readonly named?: NamedRows | undefined;
}

function rowsOf(source: SelectionSource, prefix: string): number[] {
  return source.views(prefix).map(({ rows }) => rows);
}

/** Offsets of all blocks of all sequences: u32 [blocks + 1]. */
export function blockOffsets(source: SelectionSource, prefix: string, block: number): Uint32Array {
  return offsetsOf(rowsOf(source, prefix).flatMap((rows) => blockLengths(rows, block)));
}

// 2^32 over the golden ratio, made odd: blocks of a sequence get keys far from each other.
const STEP = 0x9e3779b1;

/** A number for every block of every sequence, from that of its sequence, which its first block keeps: u32 [blocks]. */
export function blockKeys(
  source: SelectionSource,
  prefix: string,
  block: number,
  keyOf: (sequence: number) => number,
): Uint32Array {
  const keys = source
    .views(prefix)
    .flatMap(({ sequence, rows }) => blockLengths(rows, block).map((_, i) => keyOf(sequence) ^ Math.imul(i, STEP)));
  return Uint32Array.from(keys);
}

/**
 * @returns a table of a selection
 * @throws EngineError BAD_INPUT for named rows that are out of range, named twice, or too many
 */
export function selectionTableData(source: SelectionSource, name: SelectionName, table: SelectionTable): Uint32Array {
  const { prefix, rule } = name;
  const lengths = rowsOf(source, prefix);
  if (rule.kind === "given") return givenTable(source, prefix, rule.layer, table);
  if (table === "segments") return offsetsOf(lengths.map((rows) => ruleCount(rule, rows) as number));
  if (table === "cuts" && rule.kind === "reduced" && rule.block !== null) {
    const { block, reduction } = rule;
    const blocks = lengths.flatMap((rows) => blockLengths(rows, block));
    return offsetsOf(blocks.map((rows) => selectedCount(rows, reduction)));
  }
  throw new Error(`there is no table ${selectionTable(name, table)}`);
}

function givenTable(source: SelectionSource, prefix: string, layer: number, table: SelectionTable): Uint32Array {
  const views = source.views(prefix);
  const lists = views.map(({ sequence, rows }) => namedRows(source, { sequence, layer, rows }));
  if (table === "segments") return offsetsOf(lists.map(({ length }) => length));
  const starts = offsetsOf(views.map(({ rows }) => rows));
  const shift = (index: number): number => (table === "rows" ? (starts[index] as number) : 0);
  return Uint32Array.from(lists.flatMap((list, index) => list.map((place) => place + shift(index))));
}

/** The places that a router names for a sequence, ascending. */
function namedRows(
  { named }: SelectionSource,
  { sequence, layer, rows }: { sequence: number; layer: number; rows: number },
): number[] {
  if (named === undefined) throw new Error(`the rows of layer ${layer} are to be named, and nothing names them`);
  const where = `coda.router: indices of sequence ${sequence} in layer ${layer}`;
  const refuse = (message: string): never => {
    throw new EngineError("BAD_INPUT", `${where}: ${message}`, { where: "coda.router.indices" });
  };
  const places = Array.from(named.given(sequence, layer, rows)).sort((a, b) => a - b);
  places.forEach((place, index) => {
    if (!Number.isInteger(place) || place < 0 || place >= rows)
      refuse(`${place} is no token of a sequence of ${rows}, which has 0 to ${rows - 1}`);
    if (place === places[index - 1]) refuse(`${place} is named twice`);
  });
  const reduction = named.reduction(layer);
  const capacity = selectedCount(rows, reduction);
  if (places.length > capacity)
    refuse(`${places.length} tokens are named, the capacity is ceil(${rows} / ${reduction}) = ${capacity}`);
  return places;
}
