/** @file The sum of rows in float64. */

import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `sum-rows`. */
export function sumRows(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const x = needTensor("sum-rows", inputs, "x");
  const y = new Float64Array(axis(x, 1));
  for (let row = 0; row < axis(x, 0); row += 1) {
    const factor = inputs.weight === undefined ? 1 : (inputs.weight.data[row] as number);
    rowOf(x, row).forEach((value, c) => {
      y[c] = (y[c] as number) + factor * value;
    });
  }
  return { y: { shape: [y.length], data: y } };
}
