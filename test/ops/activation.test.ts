/** @file `activation` on the device against float64. */

import { activationCases } from "../../src/cases/activation.ts";
import { activation } from "../../src/ops/activation.ts";
import { activation as reference } from "../../src/reference/activation.ts";
import { describeOp } from "./check-case.ts";

describeOp(activation, reference, activationCases);
