/** @file Cases of `adamw`. */

import type { CaseTable } from "./case.ts";
import { optimizerCases } from "./optimizer-steps.ts";

/** The usual settings. */
export const adamwCases: CaseTable = optimizerCases("adamw", ["first", "second"], [1e-3, 0.9, 0.999, 1e-8]);
