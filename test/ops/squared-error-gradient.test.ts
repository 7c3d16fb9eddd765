/** @file `squared-error-gradient` on the device against float64. */

import { squaredErrorGradientCases } from "../../src/cases/squared-error-gradient.ts";
import { squaredErrorGradient } from "../../src/ops/squared-error-gradient.ts";
import { squaredErrorGradient as reference } from "../../src/reference/squared-error-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(squaredErrorGradient, reference, squaredErrorGradientCases);
