/** @file One GPU per test process, opened on first use. It ends with the process: files that run in one process share it. */

import type { Gpu } from "../src/gpu/gpu.ts";
import { openGpu, requestAdapter } from "../src/node/open.ts";

let shared: Promise<Gpu> | undefined;

/**
 * The GPU of this process: hardware where there is some, else the bundled software adapter. Calls share one device with its pipelines, so
 * tests free what they make and compare counters, not totals.
 * @example const gpu = await sharedGpu();
 */
export async function sharedGpu(): Promise<Gpu> {
  shared ??= openGpu({ adapter: "auto", quiet: true });
  return shared;
}

/** A device with no features and the default limits, as an application may hand us; the caller destroys it. */
export async function plainDevice(): Promise<GPUDevice> {
  return (await requestAdapter("auto")).requestDevice();
}
