/** @file The gradient of cross-entropy by its logits in float64. */

import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `cross-entropy-gradient`. */
export function crossEntropyGradient(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const need = (name: string): ReferenceTensor => needTensor("cross-entropy-gradient", inputs, name);
  const logits = need("logits");
  const [labels, normalizer, dy] = [need("labels").data, need("normalizer").data, need("dy").data];
  const smoothing = Number(attributes.labelSmoothing ?? 0);
  const [rows, classes] = [axis(logits, 0), axis(logits, 1)];
  const data = new Float64Array(rows * classes);
  for (let row = 0; row < rows; row += 1) {
    const label = labels[row] as number;
    if (label >= classes) continue;
    const [most, sum] = [normalizer[2 * row] as number, normalizer[2 * row + 1] as number];
    rowOf(logits, row).forEach((value: number, c: number) => {
      const wanted = smoothing / classes + (c === label ? 1 - smoothing : 0);
      data[row * classes + c] = (dy[row] as number) * (Math.exp(value - most) / sum - wanted);
    });
  }
  return { dlogits: { shape: logits.shape, data } };
}
