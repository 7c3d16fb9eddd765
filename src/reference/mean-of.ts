/** @file The mean over what takes part, in float64. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** The label of what takes no part. */
const NO_LABEL = 0xffffffff;

/** @returns whether element i takes part: not with the label 0xFFFFFFFF, nor with a target that is NaN. */
export function takesPart({ labels, targets }: ReferenceTensors, i: number): boolean {
  return labels?.data[i] !== NO_LABEL && !Number.isNaN(targets?.data[i]);
}

/** Inputs and outputs as the op `mean-of`. */
export function meanOf(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  let sum = 0;
  let count = 0;
  needTensor("mean-of", inputs, "x").data.forEach((value: number, i: number) => {
    if (!takesPart(inputs, i)) return;
    sum += value;
    count += 1;
  });
  const divisor = inputs.divisor?.data[0] ?? count;
  const scale = divisor > 0 ? 1 / divisor : 0;
  const one = (value: number): ReferenceTensor => ({ shape: [1], data: Float64Array.of(value) });
  return { y: one(divisor > 0 ? sum / divisor : 0), scale: one(scale) };
}
