/** @file A constant tensor in float64. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `fill`. */
export function fill(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const { shape, data } = needTensor("fill", inputs, "x");
  return { y: { shape, data: new Float64Array(data.length).fill(Number(attributes.value)) } };
}
