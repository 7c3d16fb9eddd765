/** @file `layer-norm` on the device against float64. */

import { layerNormCases } from "../../src/cases/layer-norm.ts";
import { layerNorm } from "../../src/ops/layer-norm.ts";
import { layerNorm as reference } from "../../src/reference/layer-norm.ts";
import { describeOp } from "./check-case.ts";

describeOp(layerNorm, reference, layerNormCases);
