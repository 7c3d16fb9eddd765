/** @file A constant tensor in float64. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `fill`. */
export function fill(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const axes = needTensor("fill", inputs, "x").shape.slice(0, attributes.axes as number | undefined);
  const shape = attributes.columns === undefined ? axes : [...axes, Number(attributes.columns)];
  const count = shape.reduce((product, axis) => product * axis, 1);
  return { y: { shape, data: new Float64Array(count).fill(Number(attributes.value)) } };
}
