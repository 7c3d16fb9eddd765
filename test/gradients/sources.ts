/** @file Sources of gradient cases: parameters of normal numbers, tables that a run is given, selections that the device makes. */

import type { GraphBuilder } from "../../src/graph/builder.ts";
import type { Value } from "../../src/graph/value.ts";
import { topK } from "../../src/ops/top-k.ts";
import { normal } from "../../src/random.ts";
import type { Source } from "./check-gradient.ts";

/** A parameter of normal numbers around `mean`. */
export function numbers(seed: number, shape: readonly number[], deviation = 1, mean = 0): Source {
  const count = shape.reduce((product, dim) => product * dim, 1);
  return { shape, data: normal(seed, count, deviation, mean) };
}

/** A table of whole numbers that a run is given: indices, or offsets of segments. */
export function table(...values: readonly number[]): Source {
  return { shape: [values.length], data: Uint32Array.from(values), input: true };
}

/** An index past every row. */
export const NOWHERE = 0xffffffff;

/** A selection by the device: sources of a build, and the rows that it selects of segments of these lengths. */
export function selected(
  lengths: readonly number[],
  counts: readonly number[],
): {
  readonly sources: Readonly<Record<"scores" | "segments" | "selected_segments", Source>>;
  readonly sizes: Readonly<Record<string, number>>;
  readonly rows: (b: GraphBuilder, values: Readonly<Record<string, Value>>) => Value;
} {
  const [segments, chosen] = [offsets(lengths), offsets(counts)];
  const total = segments.at(-1) as number;
  return {
    sources: { scores: numbers(77, [total]), segments: table(...segments), selected_segments: table(...chosen) },
    sizes: { picked: chosen.at(-1) as number },
    rows: (b, { scores, segments: from, selected_segments: to }) =>
      b.op(topK, { scores, segments: from, selected_segments: to }, { count: "picked" }).rows as Value,
  };
}

/** Offsets of segments of these lengths. */
export function offsets(lengths: readonly number[]): number[] {
  const ends = [0];
  for (const length of lengths) ends.push((ends.at(-1) as number) + length);
  return ends;
}
