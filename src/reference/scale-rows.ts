/** @file Rows times numbers of their own. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `scale-rows`. */
export function scaleRows(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const x = needTensor("scale-rows", inputs, "x");
  const weight = needTensor("scale-rows", inputs, "weight").data;
  const [, width] = x.shape as readonly [number, number];
  const data = Float64Array.from(x.data, (value, i) => {
    const row = Math.floor(i / width);
    return value * (weight[inputs.rows?.data[row] ?? row] ?? 0);
  });
  return { y: { shape: x.shape, data } };
}
