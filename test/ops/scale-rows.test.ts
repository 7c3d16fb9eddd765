/** @file `scale-rows` on the device against float64. */

import { scaleRowsCases } from "../../src/cases/scale-rows.ts";
import { scaleRows } from "../../src/ops/scale-rows.ts";
import { scaleRows as reference } from "../../src/reference/scale-rows.ts";
import { describeOp } from "./check-case.ts";

describeOp(scaleRows, reference, scaleRowsCases);
