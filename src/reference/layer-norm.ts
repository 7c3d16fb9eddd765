/** @file Layer norm in float64: gamma (v - mean) / sqrt(var + eps) + beta, biased variance (MATHS §0.3). */

import { normRows } from "./row-norm.ts";
import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `layer-norm`. */
export function layerNorm(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const gamma = needTensor("layer-norm", inputs, "gamma").data;
  const beta = needTensor("layer-norm", inputs, "beta").data;
  const eps = Number(attributes.eps);
  return normRows("layer-norm", inputs, String(attributes.gatherOf ?? "x"), (row) => {
    let sum = 0;
    for (const value of row) sum += value;
    const mean = sum / row.length;
    let squares = 0;
    for (const value of row) squares += (value - mean) ** 2;
    const deviation = Math.sqrt(squares / row.length + eps);
    return row.map((value, c) => (gamma[c] as number) * ((value - mean) / deviation) + (beta[c] as number));
  });
}
