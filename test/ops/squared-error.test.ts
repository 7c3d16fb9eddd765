/** @file `squared-error` on the device against float64. */

import { squaredErrorCases } from "../../src/cases/squared-error.ts";
import { squaredError } from "../../src/ops/squared-error.ts";
import { squaredError as reference } from "../../src/reference/squared-error.ts";
import { describeOp } from "./check-case.ts";

describeOp(squaredError, reference, squaredErrorCases);
