/** @file The gradient of joined rows by one of their sources, in float64. */

import { axis, needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

const FROM_B = 2 ** 31;

/** Inputs and outputs as the op `join-rows-gradient`; it goes through the entries as they stand and needs no order. */
export function joinRowsGradient(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("join-rows-gradient", inputs, "x");
  const like = needTensor("join-rows-gradient", inputs, "like");
  const targets = Number(attributes.rowCount ?? axis(like, 0));
  const [columns, width] = [axis(like, 1), axis(x, 1)];
  const at = Number(attributes.at ?? 0);
  const first = Number(attributes.firstRow ?? 0) + (attributes.source === "b" ? FROM_B : 0);
  const data = new Float64Array(targets * columns);
  needTensor("join-rows-gradient", inputs, "rows").data.forEach((entry: number, r: number) => {
    const target = entry - first;
    if (target < 0 || target >= targets) return;
    for (let c = 0; c < width; c += 1) {
      const place = target * columns + at + c;
      data[place] = (data[place] as number) + (x.data[r * width + c] as number);
    }
  });
  return { y: { shape: [targets, columns], data } };
}
