/** @file `row-dot` on the device against float64. */

import { rowDotCases } from "../../src/cases/row-dot.ts";
import { rowDot } from "../../src/ops/row-dot.ts";
import { rowDot as reference } from "../../src/reference/row-dot.ts";
import { describeOp } from "./check-case.ts";

describeOp(rowDot, reference, rowDotCases);
