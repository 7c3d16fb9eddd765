/** @file One GPU per test file, opened on first use and given back when the file's tests are over. */

import { afterAll } from "vitest";
import type { Gpu } from "../src/gpu/gpu.ts";
import { openGpu, requestAdapter } from "../src/node/open.ts";

let shared: Promise<Gpu> | undefined;

/**
 * The GPU of this test file: hardware where there is some, else the bundled software adapter. Calls share one device,
 * which is disposed after the file's last test.
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

afterAll(async () => {
  const gpu = await shared?.catch(() => undefined);
  await gpu?.dispose();
});
