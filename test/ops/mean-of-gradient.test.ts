/** @file `mean-of-gradient` on the device against float64. */

import { meanOfGradientCases } from "../../src/cases/mean-of-gradient.ts";
import { meanOfGradient } from "../../src/ops/mean-of-gradient.ts";
import { meanOfGradient as reference } from "../../src/reference/mean-of-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(meanOfGradient, reference, meanOfGradientCases);
