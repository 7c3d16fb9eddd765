/** @file Cases of `rms-norm`. */

import type { CaseTable } from "./case.ts";
import { normCases } from "./row-norm.ts";

/** Both forms, with T5's eps. */
export const rmsNormCases: CaseTable = { stem: "rms-norm", cases: normCases(["gamma"], { eps: 1e-6 }) };
