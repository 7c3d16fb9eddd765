/** @file The rule of `rms-norm`: see row-norm.ts. */

import { rmsNormGradient } from "../rms-norm-gradient.ts";
import { rowNormRule } from "./row-norm.ts";
import type { GradientRule } from "../gradient.ts";
import type { NormAttributes } from "../row-norm.ts";

/** Of `rms-norm`. */
export const rmsNormRule: GradientRule<NormAttributes> = rowNormRule("rms-norm", rmsNormGradient);
