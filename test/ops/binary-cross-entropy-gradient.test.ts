/** @file `binary-cross-entropy-gradient` on the device against float64. */

import { binaryCrossEntropyGradientCases } from "../../src/cases/binary-cross-entropy-gradient.ts";
import { binaryCrossEntropyGradient } from "../../src/ops/binary-cross-entropy-gradient.ts";
import { binaryCrossEntropyGradient as reference } from "../../src/reference/binary-cross-entropy-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(binaryCrossEntropyGradient, reference, binaryCrossEntropyGradientCases);
