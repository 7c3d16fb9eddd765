/** @file The gradient of the mean over what takes part, in float64. */

import { takesPart } from "./mean-of.ts";
import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `mean-of-gradient`. */
export function meanOfGradient(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const { shape, data } = needTensor("mean-of-gradient", inputs, "x");
  const scale = needTensor("mean-of-gradient", inputs, "scale").data[0] as number;
  const dy = needTensor("mean-of-gradient", inputs, "dy").data[0] as number;
  return { dx: { shape, data: Float64Array.from(data, (_, i) => (takesPart(inputs, i) ? dy * scale : 0)) } };
}
