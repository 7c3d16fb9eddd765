/** @file The matrix product with gathered rows, bias, activation, residual and scattered results in float64. */

import { EngineError } from "../errors.ts";
import { activate } from "./activation.ts";
import { addTimes, axis, dot, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/**
 * Inputs and outputs as the op `matmul`: v = act(x[r or gather[r]] · Wᵀ + bias) + residual[r], written to row r, or with
 * `scatter` added onto row scatter[r] of base, times weight[scatter[r]]. A gathered index past x is a row of zeros, a
 * scattered one past base is skipped. With the attribute `slot`, `sizes` holds the slot that takes part under that symbol; with
 * `transposed` the product is x · W.
 */
export function matmul(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
  sizes: Readonly<Record<string, number>> = {},
): Record<string, ReferenceTensor> {
  const w = needTensor("matmul", inputs, "w");
  const transposed = attributes.transposed === true;
  const { first, taking } = weightRows(axis(w, 0), attributes, sizes);
  const columns = transposed ? axis(w, 1) : taking;
  const x = needTensor("matmul", inputs, "x");
  const rows = inputs.gather === undefined ? axis(x, 0) : axis(inputs.gather, 0);
  const activation = attributes.activation === undefined ? null : String(attributes.activation);
  const product = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    const source = inputs.gather === undefined ? row : (inputs.gather.data[row] as number);
    const left = source < axis(x, 0) ? rowOf(x, source) : new Float64Array(axis(x, 1));
    const sums = transposed ? weightedRows(left, w, first) : dotRows(left, w, first, columns);
    for (let column = 0; column < columns; column += 1) {
      const bias = Number(inputs.bias?.data[transposed ? column : first + column] ?? 0);
      const sum = bias + (sums[column] as number);
      const value = activation === null ? sum : activate(activation, sum);
      product[row * columns + column] = value + Number(inputs.residual?.data[row * columns + column] ?? 0);
    }
  }
  if (inputs.scatter === undefined) return { y: { shape: [rows, columns], data: product } };
  return { y: scatterRows(inputs, product, columns) };
}

/** The products of a row of x with rows of w. */
function dotRows(left: ReferenceTensor["data"], w: ReferenceTensor, first: number, count: number): Float64Array {
  const dots = new Float64Array(count);
  for (let i = 0; i < count; i += 1) dots[i] = dot(left, 0, w.data, (first + i) * left.length, left.length);
  return dots;
}

/** The sum of rows of w, each times an element of a row of x. */
function weightedRows(left: ReferenceTensor["data"], w: ReferenceTensor, first: number): Float64Array {
  const sums = new Float64Array(axis(w, 1));
  left.forEach((factor: number, n: number) => addTimes(sums, 0, factor, rowOf(w, first + n)));
  return sums;
}

/** The first row of w that takes part, and how many do. */
function weightRows(
  all: number,
  { firstRow, rowCount, slot, slotRows }: Readonly<Record<string, unknown>>,
  sizes: Readonly<Record<string, number>>,
): { first: number; taking: number } {
  const first = Number(firstRow ?? 0);
  const rows = slot === undefined ? all : Number(slotRows ?? rowCount);
  const taking = Number(rowCount ?? rows - first);
  if (slot === undefined) return { first, taking };
  const chosen = sizes[String(slot)];
  if (chosen === undefined) throw new EngineError("SHAPE", `matmul: no size is given for ${String(slot)}`);
  return { first: first + chosen * rows, taking };
}

function scatterRows(inputs: ReferenceTensors, product: Float64Array, columns: number): ReferenceTensor {
  const base = needTensor("matmul", inputs, "base");
  const data = Float64Array.from(base.data);
  needTensor("matmul", inputs, "scatter").data.forEach((target, row) => {
    if (target >= axis(base, 0)) return;
    const factor = Number(inputs.weight?.data[target] ?? 1);
    for (let column = 0; column < columns; column += 1) {
      data[target * columns + column] =
        (data[target * columns + column] as number) + factor * (product[row * columns + column] as number);
    }
  });
  return { shape: base.shape, data };
}
