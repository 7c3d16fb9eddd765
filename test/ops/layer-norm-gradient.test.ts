/** @file `layer-norm-gradient` on the device against float64. */

import { layerNormGradientCases } from "../../src/cases/layer-norm-gradient.ts";
import { layerNormGradient } from "../../src/ops/layer-norm-gradient.ts";
import { layerNormGradient as reference } from "../../src/reference/layer-norm-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(layerNormGradient, reference, layerNormGradientCases);
