/** @file `sum-rows` on the device against float64. */

import { sumRowsCases } from "../../src/cases/sum-rows.ts";
import { sumRows } from "../../src/ops/sum-rows.ts";
import { sumRows as reference } from "../../src/reference/sum-rows.ts";
import { describeOp } from "./check-case.ts";

describeOp(sumRows, reference, sumRowsCases);
