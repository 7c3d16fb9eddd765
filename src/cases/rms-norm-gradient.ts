/** @file Cases of `rms-norm-gradient`. */

import type { CaseTable } from "./case.ts";
import { normGradientCases } from "./row-norm-gradient.ts";

/** With the eps of T5. */
export const rmsNormGradientCases: CaseTable = {
  stem: "rms-norm-gradient",
  cases: normGradientCases({ eps: 1e-6 }),
};
