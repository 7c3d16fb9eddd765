/** @file The gradient of the softmax of rows in float64. */

import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `softmax-gradient`. */
export function softmaxGradient(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const y = needTensor("softmax-gradient", inputs, "y");
  const dy = needTensor("softmax-gradient", inputs, "dy");
  const dx = new Float64Array(y.data.length);
  for (let row = 0; row < axis(y, 0); row += 1) {
    const slopes = rowOf(dy, row);
    let mean = 0;
    rowOf(y, row).forEach((value, c) => {
      mean += value * (slopes[c] as number);
    });
    rowOf(y, row).forEach((value, c) => {
      dx[row * axis(y, 1) + c] = value * ((slopes[c] as number) - mean);
    });
  }
  return { dx: { shape: y.shape, data: dx } };
}
