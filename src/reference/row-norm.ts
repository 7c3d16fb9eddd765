/** @file The two forms that the norms share, in float64: plain with gather and router, and scatter onto a base. */

import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Norms one row. */
export type RowFunction = (row: Float64Array) => Float64Array;

/** Applies a norm to every row of x + residual, in the form that the inputs ask for. */
export function normRows(
  op: string,
  inputs: ReferenceTensors,
  gatherOf: string,
  norm: RowFunction,
): Record<string, ReferenceTensor> {
  return inputs.scatter === undefined ? plain(op, inputs, gatherOf, norm) : scatterRows(op, inputs, norm);
}

function sum(x: ArrayLike<number>, residual: ArrayLike<number> | null): Float64Array {
  return Float64Array.from(x, (value, c) => value + (residual?.[c] ?? 0));
}

/** A row of a matrix; an index past its end stands for a row of zeros. */
function gatheredRow(tensor: ReferenceTensor, index: number): ArrayLike<number> {
  return index < axis(tensor, 0) ? rowOf(tensor, index) : new Float64Array(axis(tensor, 1));
}

function plain(
  op: string,
  inputs: ReferenceTensors,
  gatherOf: string,
  norm: RowFunction,
): Record<string, ReferenceTensor> {
  const x = needTensor(op, inputs, "x");
  const { residual, gather, router } = inputs;
  const [rows, width] = [axis(gather ?? x, 0), axis(x, 1)];
  const y = new Float64Array(rows * width);
  const score = new Float64Array(rows);
  for (let row = 0; row < rows; row += 1) {
    const source = gather === undefined ? row : (gather.data[row] as number);
    const xRow = gatheredRow(x, gatherOf === "x" ? source : row);
    const added = residual === undefined ? null : gatheredRow(residual, gatherOf === "residual" ? source : row);
    const normed = norm(sum(xRow, added));
    y.set(normed, row * width);
    normed.forEach((value, c) => {
      (score[row] as number) += value * ((router?.data[c] as number | undefined) ?? 0);
    });
  }
  const output: ReferenceTensor = { shape: [rows, width], data: y };
  return router === undefined ? { y: output } : { y: output, score: { shape: [rows], data: score } };
}

function scatterRows(op: string, inputs: ReferenceTensors, norm: RowFunction): Record<string, ReferenceTensor> {
  const x = needTensor(op, inputs, "x");
  const base = needTensor(op, inputs, "base");
  const scatter = needTensor(op, inputs, "scatter");
  const { residual, weight, origin } = inputs;
  const y = Float64Array.from(base.data);
  const width = axis(x, 1);
  for (let row = 0; row < axis(x, 0); row += 1) {
    const goal = scatter.data[row] as number;
    if (goal >= axis(base, 0)) continue;
    const factor = (weight?.data[goal] as number | undefined) ?? 1;
    const from = origin === undefined ? null : rowOf(origin, goal);
    const normed = norm(sum(rowOf(x, row), residual === undefined ? null : rowOf(residual, row)));
    normed.forEach((value, c) => {
      (y[goal * width + c] as number) += factor * (value - (from?.[c] ?? 0));
    });
  }
  return { y: { shape: base.shape, data: y } };
}
