/** @file Root-mean-square norm in float64: gamma v / sqrt(mean(v²) + eps) (MATHS §0.3). */

import { normRows } from "./row-norm.ts";
import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `rms-norm`. */
export function rmsNorm(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const gamma = needTensor("rms-norm", inputs, "gamma").data;
  const eps = Number(attributes.eps);
  return normRows("rms-norm", inputs, String(attributes.gatherOf ?? "x"), (row) => {
    let squares = 0;
    for (const value of row) squares += value ** 2;
    const scale = Math.sqrt(squares / row.length + eps);
    return row.map((value, c) => ((gamma[c] as number) * value) / scale);
  });
}
