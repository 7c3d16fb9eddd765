/**
 * @file Layer norm of rows, y = gamma (v - mean) / sqrt(var + eps) + beta with v = x + residual; plain, gathered, with
 * a router score, or written back through a selection (the end of a routed layer of a post-LN host, MATHS §1.2).
 */

import type { Op } from "./op.ts";
import { rowNorm } from "./row-norm.ts";
import type { NormAttributes } from "./row-norm.ts";

const common = rowNorm("layer-norm", ["gamma", "beta"], 8);

/** x, gamma, beta, residual?, then gather?, router? -> y, score?; or scatter, weight?, base, origin? -> y. */
export const layerNorm: Op<NormAttributes> = {
  ...common,
  variants: (call, device, capacity) => {
    const shared = common.variants(call, device, capacity);
    if (call.inputs.scatter !== undefined) return shared;
    // Two rows share the loads of gamma and beta; only a software adapter gathers those lane by lane.
    return device.software ? ["pair", ...shared] : [...shared, "pair"];
  },
};
