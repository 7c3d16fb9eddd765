/** @file The rule of `layer-norm`: see row-norm.ts. */

import { layerNormGradient } from "../layer-norm-gradient.ts";
import { rowNormRule } from "./row-norm.ts";
import type { GradientRule } from "../gradient.ts";
import type { NormAttributes } from "../row-norm.ts";

/** Of `layer-norm`. */
export const layerNormRule: GradientRule<NormAttributes> = rowNormRule("layer-norm", layerNormGradient);
