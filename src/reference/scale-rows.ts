/** @file Rows times numbers of their own. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `scale-rows`. */
export function scaleRows(
  inputs: ReferenceTensors,
  { repeat = false }: { readonly repeat?: boolean } = {},
): Record<string, ReferenceTensor> {
  const x = needTensor("scale-rows", inputs, "x");
  const weight = needTensor("scale-rows", inputs, "weight").data;
  const [height, width] = x.shape as readonly [number, number];
  const rows = repeat ? weight.length : height;
  const data = Float64Array.from({ length: rows * width }, (_, i) => {
    const row = Math.floor(i / width);
    return (x.data[repeat ? i % width : i] as number) * (weight[inputs.rows?.data[row] ?? row] ?? 0);
  });
  return { y: { shape: [rows, width], data } };
}
