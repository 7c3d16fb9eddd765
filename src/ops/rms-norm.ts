/** @file Root-mean-square norm of rows (T5), y = gamma v / sqrt(mean(v²) + eps); the same forms as `layer-norm`. */

import type { Op } from "./op.ts";
import { rowNorm } from "./row-norm.ts";
import type { NormAttributes } from "./row-norm.ts";

/** x, gamma, residual?, then gather?, router? -> y, score?; or scatter, weight?, base, origin? -> y. */
export const rmsNorm: Op<NormAttributes> = rowNorm("rms-norm", ["gamma"], 4);
