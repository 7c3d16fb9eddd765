/** @file The gradient of a matrix product with respect to its matrix in float64. */

import { addTimes, axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

const STEM = "matmul-weight-gradient";

/**
 * Inputs and outputs as the op `matmul-weight-gradient`: dw[n] = Σ dy[r, firstColumn + n] · x[r or gather[r]]. A gathered index past x
 * leaves its row out.
 */
export function matmulWeightGradient(
  inputs: ReferenceTensors,
  { firstColumn = 0, columnCount }: { readonly firstColumn?: number; readonly columnCount?: number },
): Record<string, ReferenceTensor> {
  const dy = needTensor(STEM, inputs, "dy");
  const x = needTensor(STEM, inputs, "x");
  const [height, width] = [columnCount ?? axis(dy, 1) - firstColumn, axis(x, 1)];
  const data = new Float64Array(height * width);
  for (let r = 0; r < axis(dy, 0); r += 1) {
    const source = inputs.gather === undefined ? r : (inputs.gather.data[r] as number);
    if (source >= axis(x, 0)) continue;
    const [factors, row] = [rowOf(dy, r), rowOf(x, source)];
    for (let n = 0; n < height; n += 1) addTimes(data, n * width, factors[firstColumn + n] as number, row);
  }
  return { dw: { shape: [height, width], data } };
}
