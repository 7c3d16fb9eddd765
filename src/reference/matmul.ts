/** @file Matrix product in float64: y[r] = act(x[gather[r]] · Wᵀ + bias) + residual[r], or added onto base through scatter. */

import { activate } from "./activation.ts";
import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

export function matmul(inputs: ReferenceTensors, attributes: Readonly<Record<string, unknown>>): Record<string, ReferenceTensor> {
  const x = needTensor("matmul", inputs, "x");
  const w = needTensor("matmul", inputs, "w");
  const { bias, residual, gather, scatter, weight, base } = inputs;
  const first = (attributes.firstRow as number | undefined) ?? 0;
  const columns = (attributes.rowCount as number | undefined) ?? axis(w, 0) - first;
  const rows = axis(gather ?? x, 0);
  const k = axis(x, 1);
  const data = base === undefined ? new Float64Array(rows * columns) : Float64Array.from(base.data);
  for (let r = 0; r < rows; r += 1) {
    const left = rowOf(x, gather === undefined ? r : (gather.data[r] as number));
    const target = scatter === undefined ? r : (scatter.data[r] as number);
    for (let c = 0; c < columns; c += 1) {
      const at = (first + c) * k;
      let sum = 0;
      for (let i = 0; i < k; i += 1) sum += (left[i] as number) * (w.data[at + i] as number);
      if (bias !== undefined) sum += bias.data[first + c] as number;
      if (attributes.activation !== undefined) sum = activate(attributes.activation as string, sum);
      if (residual !== undefined) sum += residual.data[r * columns + c] as number;
      if (scatter === undefined) data[r * columns + c] = sum;
      else data[target * columns + c] = (data[target * columns + c] as number) + (weight === undefined ? 1 : (weight.data[target] as number)) * sum;
    }
  }
  return { y: { shape: [base === undefined ? rows : axis(base, 0), columns], data } };
}
