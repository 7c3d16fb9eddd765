/** @file The gradient of squared differences by the predictions in float64. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `squared-error-gradient`. */
export function squaredErrorGradient(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const { shape, data } = needTensor("squared-error-gradient", inputs, "predictions");
  const targets = needTensor("squared-error-gradient", inputs, "targets").data;
  const dy = needTensor("squared-error-gradient", inputs, "dy").data;
  const gradient = Float64Array.from(data, (value, i) => {
    const target = targets[i] as number;
    return Number.isNaN(target) ? 0 : 2 * (dy[i] as number) * (value - target);
  });
  return { dpredictions: { shape, data: gradient } };
}
