/** @file The gradient of binary cross-entropy by its logits in float64. */

import { axis, needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

function sigmoid(z: number): number {
  return z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z));
}

/** Inputs and outputs as the op `binary-cross-entropy-gradient`. */
export function binaryCrossEntropyGradient(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const need = (name: string): ReferenceTensor => needTensor("binary-cross-entropy-gradient", inputs, name);
  const logits = need("logits");
  const [targets, dy] = [need("targets").data, need("dy").data];
  const classes = axis(logits, 1);
  const data = Float64Array.from(logits.data, (z, i) => {
    const target = targets[i] as number;
    if (Number.isNaN(target)) return 0;
    const weight = inputs.weights?.data[i % classes] ?? 1;
    return (dy[i] as number) * ((1 - target) * sigmoid(z) - weight * target * sigmoid(-z));
  });
  return { dlogits: { shape: logits.shape, data } };
}
