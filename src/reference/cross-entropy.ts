/** @file Cross-entropy with label smoothing in float64. */

import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `cross-entropy`. */
export function crossEntropy(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const logits = needTensor("cross-entropy", inputs, "logits");
  const labels = needTensor("cross-entropy", inputs, "labels").data;
  const smoothing = Number(attributes.labelSmoothing ?? 0);
  const [rows, classes] = [axis(logits, 0), axis(logits, 1)];
  const losses = new Float64Array(rows);
  const normalizer = new Float64Array(2 * rows);
  for (let row = 0; row < rows; row += 1) {
    const z = rowOf(logits, row);
    let most = -Infinity;
    for (const value of z) most = Math.max(most, value);
    let sum = 0;
    for (const value of z) sum += Math.exp(value - most);
    normalizer.set([most, sum], 2 * row);
    const label = labels[row] as number;
    if (label >= classes) continue;
    const minusLog = (value: number): number => Math.log(sum) - (value - most);
    let loss = (1 - smoothing) * minusLog(z[label] as number);
    if (smoothing > 0) for (const value of z) loss += (smoothing / classes) * minusLog(value);
    losses[row] = loss;
  }
  return { losses: { shape: [rows], data: losses }, normalizer: { shape: [rows, 2], data: normalizer } };
}
