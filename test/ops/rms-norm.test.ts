/** @file `rms-norm` on the device against float64. */

import { rmsNormCases } from "../../src/cases/rms-norm.ts";
import { rmsNorm } from "../../src/ops/rms-norm.ts";
import { rmsNorm as reference } from "../../src/reference/rms-norm.ts";
import { describeOp } from "./check-case.ts";

describeOp(rmsNorm, reference, rmsNormCases);
