/** @file The probabilities of attention in float64, laid out as the op writes them. */

import { attentionRows } from "./attention.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `attention-probabilities`: per segment [heads, queries, keys], row-major. */
export function attentionProbabilities(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const values: number[] = [];
  for (const { probabilities } of attentionRows("attention-probabilities", inputs, attributes)) {
    for (const p of probabilities) values.push(p);
  }
  return { y: { shape: [values.length], data: Float64Array.from(values) } };
}
