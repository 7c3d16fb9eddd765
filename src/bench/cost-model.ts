/**
 * @file The cost model of a routed layer (MATHS §1.6), twice: from its formula, and from the costs that the ops of a
 * graph state. Multiply-add counts as 2 FLOP; softmax, norms and activations are left out of both.
 */

import { EngineError } from "../errors.ts";
import { costOf, sizeLookup } from "../graph/schedule.ts";
import type { Sizes } from "../graph/schedule.ts";
import type { Graph } from "../graph/value.ts";
import { selectedCount } from "../routing/coda.ts";
import type { RoutedAttention } from "../routing/coda.ts";

/** The sizes that the formula asks for. */
export interface LayerCost {
  readonly width: number;
  readonly ffnWidth: number;
  /** Bottleneck of the adapter; 0 where there is none. */
  readonly bottleneck: number;
}

/** FLOP of one dense layer over sequences of these lengths: 8nd² + 4n²d + 4·n·d·dff + 4ndb. */
export function denseFlops({ width: d, ffnWidth, bottleneck }: LayerCost, lengths: readonly number[]): number {
  return sum(lengths.map((n) => 8 * n * d * d + 4 * n * n * d + 4 * n * d * ffnWidth + 4 * n * d * bottleneck));
}

/** FLOP of one routed layer with k = ceil(n / r): the light path and the router over n rows, the rest over k. */
export function routedFlops(
  { width: d, ffnWidth, bottleneck }: LayerCost,
  lengths: readonly number[],
  reduction: number,
  attention: RoutedAttention,
): number {
  return sum(
    lengths.map((n) => {
      const k = selectedCount(n, reduction);
      const light = 4 * n * d * bottleneck + 2 * n * d;
      const heavy =
        attention === "k-to-k" ? 8 * k * d * d + 4 * k * k * d : 4 * k * d * d + 4 * n * d * d + 4 * k * n * d;
      return heavy + 4 * k * d * ffnWidth + light;
    }),
  );
}

/** The ops that the formula counts. */
const COUNTED: ReadonlySet<string> = new Set(["matmul", "attention", "adapter", "row-dot"]);

/** FLOP of the counted ops of a graph that no pass has changed. */
export function graphFlops(graph: Graph, sizes: Sizes): number {
  const size = sizeLookup(sizes);
  return sum(
    graph.nodes
      .filter(({ kind, label }) => kind === "op" && COUNTED.has(label))
      .map((node) => costOf(node, size).flops),
  );
}

/**
 * The ops also count what the formula leaves out: the bias of a linear map, one addition beside the 2 · width of its products.
 * @throws EngineError VALIDATION when they differ by more: then one of the two is wrong
 */
export function expectSameFlops(name: string, width: number, formula: number, ops: number): void {
  if (ops >= formula && ops <= formula * (1 + 1 / (2 * width))) return;
  throw new EngineError("VALIDATION", `${name}: the cost model gives ${formula} FLOP, the ops of the graph ${ops}`, {
    where: name,
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
