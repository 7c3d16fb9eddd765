/** @file `sum-by-index` on the device against float64. */

import { sumByIndexCases } from "../../src/cases/sum-by-index.ts";
import { sumByIndex } from "../../src/ops/sum-by-index.ts";
import { sumByIndex as reference } from "../../src/reference/sum-by-index.ts";
import { describeOp } from "./check-case.ts";

describeOp(sumByIndex, reference, sumByIndexCases);
