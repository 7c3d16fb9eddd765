/** @file Softmax of rows in float64. */

import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `softmax`. */
export function softmax(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const x = needTensor("softmax", inputs, "x");
  const [rows, width] = [axis(x, 0), axis(x, 1)];
  const y = new Float64Array(rows * width);
  for (let row = 0; row < rows; row += 1) {
    const values = rowOf(x, row);
    let largest = -Infinity;
    for (const value of values) largest = Math.max(largest, value);
    let total = 0;
    for (const value of values) total += Math.exp(value - largest);
    values.forEach((value, c) => {
      y[row * width + c] = Math.exp(value - largest) / total;
    });
  }
  return { y: { shape: x.shape, data: y } };
}
