/** @file `adamw` on the device against float64. */

import { adamwCases } from "../../src/cases/adamw.ts";
import { adamw } from "../../src/ops/adamw.ts";
import { adamw as reference } from "../../src/reference/adamw.ts";
import { describeOp } from "./check-case.ts";

describeOp(adamw, reference, adamwCases);
