/** @file `attention` on the device against float64. */

import { attentionCases } from "../../src/cases/attention.ts";
import { attention } from "../../src/ops/attention.ts";
import { attention as reference } from "../../src/reference/attention.ts";
import { describeOp } from "./check-case.ts";

describeOp(attention, reference, attentionCases);
