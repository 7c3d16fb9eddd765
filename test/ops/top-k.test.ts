/** @file `top-k` on the device against float64. */

import { topKCases } from "../../src/cases/top-k.ts";
import { topK } from "../../src/ops/top-k.ts";
import { topK as reference } from "../../src/reference/top-k.ts";
import { describeOp } from "./check-case.ts";

describeOp(topK, reference, topKCases);
