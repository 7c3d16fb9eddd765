/** @file The first, last or mean row of segments: ∂y goes back to where it was read. */

import type { GradientRule } from "../gradient.ts";
import { gradientOf } from "../gradient.ts";
import { poolGradient } from "../pool-gradient.ts";
import type { PoolAttributes } from "../pool.ts";

/** Of `pool`. */
export const poolRule: GradientRule<PoolAttributes> = (b, call) => ({
  x: b.op(poolGradient, { ...call.inputs, dy: gradientOf(call) }, call.attributes).dx,
});
