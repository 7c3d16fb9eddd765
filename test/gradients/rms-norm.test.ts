/** @file The gradient rule of `rms-norm`. */

import { rmsNorm } from "../../src/ops/rms-norm.ts";
import { describeNormRule } from "./norm-rule.ts";

describeNormRule(rmsNorm, ["gamma"]);
