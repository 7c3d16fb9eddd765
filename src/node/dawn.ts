/** @file Loading Dawn, the WebGPU implementation of the npm package `webgpu`. */

import { EngineError } from "../errors.ts";
import { messageOf } from "../gpu/faults.ts";
import { installPoliteWait } from "./polite-wait.ts";

/** Options of every instance. Several toggles would go into one string, separated by commas. */
const TOGGLES = [
  // Subgroup matrices are offered under this toggle only.
  "enable-dawn-features=allow_unsafe_apis",
  // Timestamps are rounded to 65,536 ns otherwise.
  "disable-dawn-features=timestamp_quantization",
];

/**
 * Makes a Dawn instance.
 * @param options more of Dawn's own options, such as `backend=null`
 * @throws EngineError MISSING_PACKAGE when `webgpu` is not installed
 */
export async function createInstance(options: readonly string[] = []): Promise<GPU> {
  let create: (options: string[]) => GPU;
  try {
    ({ create } = await import("webgpu"));
  } catch (cause) {
    throw new EngineError("MISSING_PACKAGE", `the package "webgpu" cannot be loaded: ${messageOf(cause)}`, {
      fix: 'npm install "webgpu@>=0.6.2 <0.7"',
      cause,
    });
  }
  installPoliteWait();
  return create([...TOGGLES, ...options]);
}
