/** @file Cases of `layer-norm`. */

import type { CaseTable } from "./case.ts";
import { normCases } from "./row-norm.ts";

/** Both forms, with the eps of PyTorch's default. */
export const layerNormCases: CaseTable = { stem: "layer-norm", cases: normCases(["gamma", "beta"], { eps: 1e-5 }) };
