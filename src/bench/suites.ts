/** @file All suites of the bench, and the names of those that are planned. */

import type { Suite } from "./suite.ts";
import { adaptersSuite } from "./suites/adapters.ts";
import { kernelsSuite } from "./suites/kernels.ts";
import { layerSuite } from "./suites/layer.ts";
import { routingSuite } from "./suites/routing.ts";
import { warmSuite } from "./suites/warm.ts";

/** The suites in the order in which they are listed and run. */
export const suites: readonly Suite[] = [kernelsSuite, layerSuite, adaptersSuite, routingSuite, warmSuite];

/** Suites that need what is not there yet, with what they wait for. */
export const plannedSuites: Readonly<Record<string, string>> = {
  fusion: "arrives with the adapters",
  swap: "arrives with the adapters",
  multitask: "arrives with the adapters",
  training: "arrives with the training",
};
