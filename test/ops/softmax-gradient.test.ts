/** @file `softmax-gradient` on the device against float64. */

import { softmaxGradientCases } from "../../src/cases/softmax-gradient.ts";
import { softmaxGradient } from "../../src/ops/softmax-gradient.ts";
import { softmaxGradient as reference } from "../../src/reference/softmax-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(softmaxGradient, reference, softmaxGradientCases);
