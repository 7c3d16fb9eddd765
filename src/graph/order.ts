/** @file Tables of indices in ascending order, which gradients of look-ups read: sorted by the host, for the graphs that ask for them. */

import { ORDER } from "./builder.ts";
import type { Graph } from "./value.ts";

type Arrays = Readonly<Record<string, Float32Array | Uint32Array>>;

/** @returns the places of a table in ascending order of what they hold, equal ones in their own order. */
export function orderOf(table: ArrayLike<number>): Uint32Array {
  const places = Uint32Array.from({ length: table.length }, (_, place) => place);
  return places.sort((a, b) => (table[a] as number) - (table[b] as number) || a - b);
}

/** @returns a run's inputs with the orders of those tables whose order the graph reads. */
export function withOrders({ nodes }: Graph, arrays: Arrays): Arrays {
  const orders = nodes
    .filter(({ kind, label }) => kind === "input" && label.startsWith(ORDER))
    .map(({ label }) => [label, orderOf(arrays[label.slice(ORDER.length)] as Uint32Array)] as const);
  return { ...arrays, ...Object.fromEntries(orders) };
}
