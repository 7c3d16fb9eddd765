/** @file Cases of `sgd`. */

import type { CaseTable } from "./case.ts";
import { optimizerCases } from "./optimizer-steps.ts";

/** A usual momentum. */
export const sgdCases: CaseTable = optimizerCases("sgd", ["first"], [1e-2, 0.9]);
