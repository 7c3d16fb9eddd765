/** @file `fill` on the device against float64. */

import { fillCases } from "../../src/cases/fill.ts";
import { fill } from "../../src/ops/fill.ts";
import { fill as reference } from "../../src/reference/fill.ts";
import { describeOp } from "./check-case.ts";

describeOp(fill, reference, fillCases);
