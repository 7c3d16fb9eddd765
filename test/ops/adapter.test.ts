/** @file `adapter` on the device against float64. */

import { adapterCases } from "../../src/cases/adapter.ts";
import { adapter } from "../../src/ops/adapter.ts";
import { adapter as reference } from "../../src/reference/adapter.ts";
import { describeOp } from "./check-case.ts";

describeOp(adapter, reference, adapterCases);
