/** @file Squared differences in float64. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `squared-error`. */
export function squaredError(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const { shape, data } = needTensor("squared-error", inputs, "predictions");
  const targets = needTensor("squared-error", inputs, "targets").data;
  const losses = Float64Array.from(data, (value, i) => {
    const target = targets[i] as number;
    return Number.isNaN(target) ? 0 : (value - target) ** 2;
  });
  return { losses: { shape, data: losses } };
}
