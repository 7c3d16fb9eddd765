/** @file Everything that follows from the lengths of a batch: run-time sizes, segment tables, capacities of plans. */

import type { Graph } from "../graph/value.ts";
import type { Sizes } from "../graph/schedule.ts";
import type { HostFeed, HostShape } from "../hosts/host.ts";
import { probabilityTables } from "../hosts/symbols.ts";
import { selectedCount } from "../routing/coda.ts";
import { reductionOf } from "../routing/route.ts";

/** Run-time inputs and sizes of one batch. */
export interface Lengths {
  readonly inputs: Readonly<Record<string, Uint32Array>>;
  readonly sizes: Sizes;
}

/** Offsets of sequences of these lengths: one entry more than there are sequences. */
export function offsets(lengths: readonly number[]): Uint32Array {
  const table = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, index) => {
    table[index + 1] = (table[index] as number) + length;
  });
  return table;
}

/** Run-time symbols that a graph uses. */
export function symbolsOf(graph: Graph): Set<string> {
  const symbols = new Set<string>();
  for (const node of graph.nodes) {
    for (const { type } of Object.values(node.outputs)) {
      for (const dim of type.shape) if (typeof dim === "object") symbols.add(dim.symbol);
    }
  }
  return symbols;
}

/** How many attention probabilities there are between the rows of two segment tables, over all heads. */
function probabilityCountOf(queries: Uint32Array, keys: Uint32Array, heads: number): number {
  let count = 0;
  for (let s = 0; s + 1 < queries.length; s += 1) {
    const rows = (queries[s + 1] as number) - (queries[s] as number);
    count += heads * rows * ((keys[s + 1] as number) - (keys[s] as number));
  }
  return count;
}

/** Sizes and segment tables that a graph needs for sequences of these lengths. */
export function lengthsFor(graph: Graph, shape: HostShape, rows: readonly number[], feed: HostFeed): Lengths {
  const table = offsets(rows);
  const total = table[rows.length] as number;
  const sizes: Record<string, number> = {
    ...feed.sizes,
    rows: total,
    sequences: rows.length,
    offsets: rows.length + 1,
  };
  const inputs: Record<string, Uint32Array> = { ...feed.inputs, segments: table };
  for (const symbol of symbolsOf(graph)) {
    const reduction = reductionOf(symbol);
    if (reduction !== null) {
      const selected = offsets(rows.map((length) => selectedCount(length, reduction)));
      sizes[symbol] = selected[rows.length] as number;
      inputs[`${symbol}.segments`] = selected;
    }
  }
  for (const symbol of symbolsOf(graph)) {
    const tables = probabilityTables(symbol)?.map((name) => inputs[name] as Uint32Array);
    if (tables !== undefined)
      sizes[symbol] = probabilityCountOf(...(tables as [Uint32Array, Uint32Array]), shape.heads);
  }
  return { inputs, sizes };
}

/** The next power of two, from a floor on: plans are made for a few capacities, not for every length. */
function bucket(value: number, floor: number): number {
  return Math.max(floor, 2 ** Math.ceil(Math.log2(Math.max(value, 1))));
}

/**
 * Capacities of a new plan that is to hold these sizes: rows and sequences in powers of two, and for everything that
 * follows from them the most that can happen at these capacities.
 */
export function capacitiesFor(sizes: Sizes, maxRows: number | undefined): Sizes {
  const sequences = bucket(sizes.sequences as number, 8);
  const rows = Math.max(bucket(sizes.rows as number, 16), maxRows ?? 0);
  const capacities: Record<string, number> = {};
  for (const [symbol, size] of Object.entries(sizes)) {
    const reduction = reductionOf(symbol);
    if (symbol === "sequences") capacities[symbol] = sequences;
    else if (symbol === "offsets") capacities[symbol] = sequences + 1;
    // Every sequence rounds up by less than one row.
    else if (reduction !== null) capacities[symbol] = Math.min(rows, Math.floor(rows / reduction) + sequences);
    else if (probabilityTables(symbol) !== null) capacities[symbol] = bucket(size, 1024);
    else capacities[symbol] = rows;
  }
  return capacities;
}
