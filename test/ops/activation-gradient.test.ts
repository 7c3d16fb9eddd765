/** @file `activation-gradient` on the device against float64. */

import { activationGradientCases } from "../../src/cases/activation-gradient.ts";
import { activationGradient } from "../../src/ops/activation-gradient.ts";
import { activationGradient as reference } from "../../src/reference/activation-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(activationGradient, reference, activationGradientCases);
