/** @file Products of rows with one vector, or with rows of their own, in float64. */

import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `row-dot`. */
export function rowDot(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const x = needTensor("row-dot", inputs, "x");
  const w = needTensor("row-dot", inputs, "w");
  const y = new Float64Array(axis(x, 0));
  for (let row = 0; row < y.length; row += 1) {
    const other = w.shape.length === 2 ? rowOf(w, row) : w.data;
    let sum = 0;
    rowOf(x, row).forEach((value, c) => {
      sum += value * (other[c] as number);
    });
    y[row] = sum;
  }
  return { y: { shape: [y.length], data: y } };
}
