/** @file One step of AdamW over all trained elements (Loshchilov & Hutter 2019, algorithm 2, the decay as PyTorch has it). */

import { optimizerStep } from "./optimizer-step.ts";
import type { Op } from "./op.ts";

/** Places in the `settings` of {@link adamw}. */
export const ADAMW_SETTINGS = ["learningRate", "beta1", "beta2", "epsilon", "largestNorm", "factor"] as const;

/**
 * weights[W], first[G], second[G], gradient[G], blocks[G / 64, 4] u32, groups[groups, 4], norm[1], settings[6]
 * ({@link ADAMW_SETTINGS}) -> weights, first, second, updated in place. See {@link optimizerStep}; a norm that is not finite
 * changes nothing.
 */
export const adamw: Op = optimizerStep({
  stem: "adamw",
  states: ["first", "second"],
  settings: ADAMW_SETTINGS.length,
  flopsPerElement: 16,
});
