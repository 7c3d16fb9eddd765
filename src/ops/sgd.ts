/** @file One step of stochastic gradient descent with momentum over all trained elements (PyTorch's, without dampening). */

import { optimizerStep } from "./optimizer-step.ts";
import type { Op } from "./op.ts";

/** Places in the `settings` of {@link sgd}. */
export const SGD_SETTINGS = ["learningRate", "momentum", "largestNorm", "factor"] as const;

/**
 * weights[W], first[G] (the momentum), gradient[G], blocks[G / 64, 4] u32, groups[groups, 4], norm[1], settings[4]
 * ({@link SGD_SETTINGS}) -> weights, first, updated in place. See {@link optimizerStep}; a norm that is not finite changes nothing.
 */
export const sgd: Op = optimizerStep({
  stem: "sgd",
  states: ["first"],
  settings: SGD_SETTINGS.length,
  flopsPerElement: 8,
});
