/** @file `sgd` on the device against float64. */

import { sgdCases } from "../../src/cases/sgd.ts";
import { sgd } from "../../src/ops/sgd.ts";
import { sgd as reference } from "../../src/reference/sgd.ts";
import { describeOp } from "./check-case.ts";

describeOp(sgd, reference, sgdCases);
