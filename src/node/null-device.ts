/** @file Dawn's null backend: it compiles every shader of every variant and runs none. */

import { EngineError } from "../errors.ts";
import { createGpu, type Gpu } from "../gpu/gpu.ts";
import { deviceRequest, isNullBackend } from "../gpu/info.ts";
import { createInstance } from "./dawn.ts";

let instance: Promise<GPU> | undefined;

/**
 * Opens a device that compiles and never computes, with all features that kernels may use, or only the given ones.
 * It is for tests alone: `openGpu` refuses it.
 * @example const gpu = await openNullDevice(); await gpu.pipeline(source);
 */
export async function openNullDevice(features?: readonly string[]): Promise<Gpu> {
  instance ??= createInstance(["backend=null"]);
  const adapter = await (await instance).requestAdapter();
  if (adapter === null || !isNullBackend(adapter.info))
    throw new EngineError("NO_ADAPTER", "this build of Dawn has no null backend");
  const request = deviceRequest(adapter, "null");
  if (features !== undefined) request.requiredFeatures = features as GPUFeatureName[];
  return createGpu({
    device: await adapter.requestDevice(request),
    adapter,
    owned: true,
    software: true,
    clock: "wall",
  });
}
