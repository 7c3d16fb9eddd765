/** @file `cross-entropy-gradient` on the device against float64. */

import { crossEntropyGradientCases } from "../../src/cases/cross-entropy-gradient.ts";
import { crossEntropyGradient } from "../../src/ops/cross-entropy-gradient.ts";
import { crossEntropyGradient as reference } from "../../src/reference/cross-entropy-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(crossEntropyGradient, reference, crossEntropyGradientCases);
