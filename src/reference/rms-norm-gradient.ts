/** @file The gradient of the root-mean-square norm in float64. */

import { normGradientRows } from "./row-norm-gradient.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `rms-norm-gradient`. */
export function rmsNormGradient(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  return normGradientRows("rms-norm-gradient", inputs, attributes, false);
}
