/** @file The routed layer as graph values: score, soft top-k, selection, and the sum of light and heavy path (MATHS §1.2). */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { fill } from "../ops/fill.ts";
import { runtimeDim } from "../ops/op.ts";
import type { Dim, RuntimeDim } from "../ops/op.ts";
import { rowDot } from "../ops/row-dot.ts";
import { scatterAddRows } from "../ops/scatter-add-rows.ts";
import { softTopK } from "../ops/soft-top-k.ts";
import { topK } from "../ops/top-k.ts";
import type { CodaPolicy } from "./coda.ts";

/** The choice of one layer. */
export interface Route {
  /** Scores s of every row, from the router (eq. 2). */
  readonly scores: Value;
  /** λ of every row, before masking (eq. 4). */
  readonly weights: Value;
  /** Packed rows that take the heavy path, ascending (eq. 5), and their positions in their sequences. */
  readonly rows: Value;
  readonly positions: Value;
  /** Offsets of the selected rows of every sequence. */
  readonly segments: Value;
}

/** The run-time number of rows that layers with this reduction factor select, of the rows that a prefix names. */
export function selectedRows(reduction: number, prefix = ""): RuntimeDim {
  return runtimeDim(`${prefix}selected.${reduction}`);
}

/** The name of the run-time input that holds the offsets of the selected rows. */
export function selectedSegments(reduction: number, prefix = ""): string {
  return `${prefix}selected.${reduction}.segments`;
}

/** @returns prefix and reduction factor in a run-time name, or null when it is another name. */
export function selectionOf(name: string): { readonly prefix: string; readonly reduction: number } | null {
  const match = /^([^ ]*?)selected\.([\d.]+?)(?:\.segments)?$/.exec(name);
  return match === null ? null : { prefix: match[1] as string, reduction: Number(match[2]) };
}

/** Name of a layer's router vector. */
export function routerName(layer: number): string {
  return `routers.${layer}`;
}

/** Scores the rows of a layer, weighs them and selects k of every sequence. */
export function route(
  b: GraphBuilder,
  siteInput: Value,
  segments: Value,
  policy: CodaPolicy,
  at: { readonly layer: number; readonly reduction: number; readonly prefix?: string },
): Route {
  const width = siteInput.type.shape[1] as number;
  const count = selectedRows(at.reduction, at.prefix);
  const selected = b.input(selectedSegments(at.reduction, at.prefix), [segments.type.shape[0] as Dim], "u32");
  const router = b.parameter(routerName(at.layer), [width]);
  const scores = b.op(rowDot, { x: siteInput, w: router }, {}).y as Value;
  const { softTopK: mode, epsilon, iterations, epsilonStart, epsilonDecay, lambda } = policy;
  const weights =
    lambda === null
      ? b.op(
          softTopK,
          { scores, segments, selected_segments: selected },
          { mode, epsilon, iterations, epsilonStart, epsilonDecay },
        ).weights
      : b.op(fill, { x: scores }, { value: lambda }).y;
  const chosen = b.op(topK, { scores, segments, selected_segments: selected }, { count: count.symbol });
  return {
    scores,
    weights: weights as Value,
    rows: chosen.rows as Value,
    positions: chosen.positions as Value,
    segments: selected,
  };
}

/** Y = X + A(Xn) + m ⊙ PᵀΔ (eq. 11), where `light` is X + A(Xn) and `delta` the heavy path of the selected rows. */
export function combine(b: GraphBuilder, light: Value, delta: Value, chosen: Route): Value {
  return b.op(scatterAddRows, { base: light, x: delta, rows: chosen.rows, weight: chosen.weights }, {}).y as Value;
}
