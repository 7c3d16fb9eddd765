/**
 * @file The cost model of a routed layer (MATHS §1.6), twice: from its formula, and from the costs that the ops of a
 * graph state. Multiply-add counts as 2 FLOP; norms, softmax, biases and activations are in neither.
 */

import { EngineError } from "../errors.ts";
import { costOf, sizeLookup } from "../graph/schedule.ts";
import type { Sizes, TableOf } from "../graph/schedule.ts";
import type { Graph } from "../graph/value.ts";
import { selectedCount } from "../routing/selection.ts";
import type { RoutedAttention } from "../routing/coda.ts";

/** The sizes that the formula asks for. */
export interface LayerCost {
  readonly width: number;
  readonly ffnWidth: number;
  /** Bottleneck of the adapter; 0 where there is none. */
  readonly bottleneck: number;
  /** A gated feed-forward has three matrices, any other two. */
  readonly gated?: boolean;
}

/** The terms of MATHS §1.6, as ops name them (`FlopKind`). */
export const termKinds = ["matmul", "attention", "adapter", "router"] as const;
export type TermKind = (typeof termKinds)[number];

/** FLOP by term. */
export type Terms = Readonly<Record<TermKind, number>>;

/** The terms of one dense layer over sequences of these lengths: 8nd² + 2g·n·d·dff, 4n²d, 4ndb. */
export function denseTerms({ width: d, ffnWidth, bottleneck, gated }: LayerCost, lengths: readonly number[]): Terms {
  const matrices = gated === true ? 3 : 2;
  return {
    matmul: sum(lengths, (n) => 8 * n * d * d + 2 * matrices * n * d * ffnWidth),
    attention: sum(lengths, (n) => 4 * n * n * d),
    adapter: sum(lengths, (n) => 4 * n * d * bottleneck),
    router: 0,
  };
}

/** The terms of one routed layer with k = ceil(n / r): the light path and the router over n rows, the rest over k. */
export function routedTerms(
  cost: LayerCost,
  lengths: readonly number[],
  reduction: number,
  attention: RoutedAttention,
): Terms {
  const { width: d, ffnWidth, gated } = cost;
  const matrices = gated === true ? 3 : 2;
  const k = (n: number): number => selectedCount(n, reduction);
  // Keys and values are projected, and seen by every selected row.
  const keys = attention === "k-to-k" ? k : (n: number): number => n;
  return {
    matmul: sum(lengths, (n) => 4 * (k(n) + keys(n)) * d * d + 2 * matrices * k(n) * d * ffnWidth),
    attention: sum(lengths, (n) => 4 * k(n) * keys(n) * d),
    adapter: denseTerms(cost, lengths).adapter,
    router: sum(lengths, (n) => 2 * n * d),
  };
}

/** The terms of all nodes of a graph, whatever passes it has been through. `tables` are the segments and slots of the run. */
export function graphTerms(graph: Graph, sizes: Sizes, tables: TableOf): Terms {
  const size = sizeLookup(sizes);
  const parts = graph.nodes.filter(({ kind }) => kind === "op").map((node) => costOf(node, size, tables).parts ?? {});
  return terms((kind) => sum(parts, (part) => part[kind] ?? 0));
}

/** FLOP of all terms. */
export function totalOf(all: Terms): number {
  return sum(termKinds, (kind) => all[kind]);
}

/** @returns the terms of so many equal layers. */
export function layersOf(layers: number, one: Terms): Terms {
  return terms((kind) => layers * one[kind]);
}

/**
 * Checks that formula and ops count alike, term by term and to the last FLOP.
 * @throws EngineError VALIDATION when they differ: then one of the two is wrong
 */
export function expectSameTerms(name: string, formula: Terms, ops: Terms): void {
  for (const kind of termKinds) {
    if (formula[kind] === ops[kind]) continue;
    const message = `${name}: the cost model gives ${formula[kind]} FLOP of ${kind}, the ops of the graph ${ops[kind]}`;
    throw new EngineError("VALIDATION", message, { where: name });
  }
}

function terms(of: (kind: TermKind) => number): Terms {
  return Object.fromEntries(termKinds.map((kind) => [kind, of(kind)])) as Record<TermKind, number>;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
