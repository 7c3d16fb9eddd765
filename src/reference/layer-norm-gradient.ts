/** @file The gradient of the layer norm in float64. */

import { normGradientRows } from "./row-norm-gradient.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `layer-norm-gradient`. */
export function layerNormGradient(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  return normGradientRows("layer-norm-gradient", inputs, attributes, true);
}
