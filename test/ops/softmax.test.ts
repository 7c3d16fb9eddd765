/** @file `softmax` on the device against float64. */

import { softmaxCases } from "../../src/cases/softmax.ts";
import { softmax } from "../../src/ops/softmax.ts";
import { softmax as reference } from "../../src/reference/softmax.ts";
import { describeOp } from "./check-case.ts";

describeOp(softmax, reference, softmaxCases);
