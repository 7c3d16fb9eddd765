/** @file The gradient rule of `layer-norm`. */

import { layerNorm } from "../../src/ops/layer-norm.ts";
import { describeNormRule } from "./norm-rule.ts";

describeNormRule(layerNorm, ["gamma", "beta"]);
