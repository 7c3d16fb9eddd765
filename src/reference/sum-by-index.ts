/** @file The sums of rows that have the same index, in float64. */

import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `sum-by-index`; the order of the indices does not matter to it. */
export function sumByIndex(
  inputs: ReferenceTensors,
  { firstRow = 0, rowCount }: Readonly<Record<string, unknown>> = {},
): Record<string, ReferenceTensor> {
  const x = needTensor("sum-by-index", inputs, "x");
  const first = Number(firstRow);
  const targets = Number(rowCount ?? axis(needTensor("sum-by-index", inputs, "like"), 0));
  const width = axis(x, 1);
  const y = new Float64Array(targets * width);
  needTensor("sum-by-index", inputs, "rows").data.forEach((entry: number, row: number) => {
    const index = entry - first;
    if (index < 0 || index >= targets) return;
    rowOf(x, row).forEach((value, c) => {
      y[index * width + c] = (y[index * width + c] as number) + value;
    });
  });
  return { y: { shape: [targets, width], data: y } };
}
