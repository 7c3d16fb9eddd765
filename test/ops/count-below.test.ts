/** @file `count-below` on the device against counting. */

import { countBelowCases } from "../../src/cases/count-below.ts";
import { countBelow } from "../../src/ops/count-below.ts";
import { countBelow as reference } from "../../src/reference/count-below.ts";
import { describeOp } from "./check-case.ts";

describeOp(countBelow, reference, countBelowCases);
