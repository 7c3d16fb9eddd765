/** @file Rows by index from two matrices. */

import { axis, needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

const FROM_B = 2 ** 31;

/** Inputs and outputs as the op `join-rows`. */
export function joinRows(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const indices = needTensor("join-rows", inputs, "rows").data;
  const width = Number(attributes.width);
  const y = new Float64Array(indices.length * width);
  indices.forEach((entry, r) => {
    const fromB = entry >= FROM_B;
    const source = needTensor("join-rows", inputs, fromB ? "b" : "a");
    const row = fromB ? entry - FROM_B : entry;
    if (row >= axis(source, 0)) return;
    const start = row * axis(source, 1) + Number((fromB ? attributes.bAt : attributes.aAt) ?? 0);
    for (let c = 0; c < width; c += 1) y[r * width + c] = source.data[start + c] as number;
  });
  return { y: { shape: [indices.length, width], data: y } };
}
