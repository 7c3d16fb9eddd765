/** @file `rms-norm-gradient` on the device against float64. */

import { rmsNormGradientCases } from "../../src/cases/rms-norm-gradient.ts";
import { rmsNormGradient } from "../../src/ops/rms-norm-gradient.ts";
import { rmsNormGradient as reference } from "../../src/reference/rms-norm-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(rmsNormGradient, reference, rmsNormGradientCases);
