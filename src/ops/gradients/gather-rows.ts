/** @file y[r] = x[rows[r]]: ∂x is the sum of the rows of ∂y that were read from each place. */

import type { GradientRule } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { refuseWanted } from "./refuse-wanted.ts";
import { scatterRows } from "./scatter-rows.ts";

/** Of `gather-rows`. What stands in for rows that are missing is a constant. */
export const gatherRowsRule: GradientRule = (b, call) => {
  refuseWanted("gather-rows", call, "fill");
  return { x: scatterRows(b, gradientOf(call), inputOf(call, "rows"), inputOf(call, "x")) };
};
