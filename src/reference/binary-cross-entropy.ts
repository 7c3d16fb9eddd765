/** @file Binary cross-entropy of logits in float64. */

import { axis, needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** ln(1 + e^z) without overflow. */
function softplus(z: number): number {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

/** Inputs and outputs as the op `binary-cross-entropy`. */
export function binaryCrossEntropy(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const logits = needTensor("binary-cross-entropy", inputs, "logits");
  const targets = needTensor("binary-cross-entropy", inputs, "targets").data;
  const classes = axis(logits, 1);
  const data = Float64Array.from(logits.data, (z, i) => {
    const target = targets[i] as number;
    if (Number.isNaN(target)) return 0;
    const weight = inputs.weights?.data[i % classes] ?? 1;
    return weight * target * softplus(-z) + (1 - target) * softplus(z);
  });
  return { losses: { shape: logits.shape, data } };
}
