/** @file `elementwise` on the device against float64. */

import { elementwiseCases } from "../../src/cases/elementwise.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import { elementwise as reference } from "../../src/reference/elementwise.ts";
import { describeOp } from "./check-case.ts";

describeOp(elementwise, reference, elementwiseCases);
