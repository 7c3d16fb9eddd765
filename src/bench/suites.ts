/** @file All suites of the bench. */

import type { Suite } from "./suite.ts";
import { adaptersSuite } from "./suites/adapters.ts";
import { fusionSuite } from "./suites/fusion.ts";
import { kernelsSuite } from "./suites/kernels.ts";
import { layerSuite } from "./suites/layer.ts";
import { multitaskSuite } from "./suites/multitask.ts";
import { routingSuite } from "./suites/routing.ts";
import { swapSuite } from "./suites/swap.ts";
import { trainingSuite } from "./suites/training.ts";
import { warmSuite } from "./suites/warm.ts";

/** The suites in the order in which they are listed and run. */
export const suites: readonly Suite[] = [
  kernelsSuite,
  layerSuite,
  adaptersSuite,
  fusionSuite,
  multitaskSuite,
  swapSuite,
  routingSuite,
  trainingSuite,
  warmSuite,
];
