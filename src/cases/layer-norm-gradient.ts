/** @file Cases of `layer-norm-gradient`. */

import type { CaseTable } from "./case.ts";
import { normGradientCases } from "./row-norm-gradient.ts";

/** With the eps of PyTorch's default. */
export const layerNormGradientCases: CaseTable = {
  stem: "layer-norm-gradient",
  cases: normGradientCases({ eps: 1e-5 }),
};
