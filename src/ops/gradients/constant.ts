/** @file Ops that read a float value for its shape alone: nothing goes back through them. */

import type { GradientRule } from "../gradient.ts";

/** Of `fill` and `position-scores`. What was built towards them is dead code, which no finished graph holds. */
export const constantRule: GradientRule = () => ({});
