/** @file Opening a device where WebGPU is already there: in a browser, or on a `GPU` or device that the caller brings. */

import { EngineError } from "../errors.ts";
import { createGpu, type ClockSource, type Gpu } from "./gpu.ts";
import { messageOf } from "./faults.ts";
import { adapterInfoOf, adapterName, deviceRequest, isNullBackend, isSoftware } from "./info.ts";

/** Which adapter to open: the best there is, only a GPU, or only a software adapter. */
export type AdapterChoice = "auto" | "hardware" | "software";

/** Options of {@link openGpu}. */
export interface OpenGpuOptions {
  /** Default: `"auto"`. */
  readonly adapter?: AdapterChoice;
  /** A device to use as it is. It is never destroyed, and keeps its features and limits. */
  readonly device?: GPUDevice;
  /** Default: `navigator.gpu`, read when called. */
  readonly gpu?: GPU;
}

/**
 * Opens a device.
 * @throws EngineError NO_ADAPTER when there is none of the kind asked for
 * @example const gpu = await openGpu({ adapter: "hardware" });
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  if (options.device !== undefined) return injectedGpu(options.device);
  const choice = options.adapter ?? "auto";
  const webgpu = options.gpu ?? (globalThis.navigator as Navigator | undefined)?.gpu;
  if (webgpu === undefined) {
    throw new EngineError("NO_ADAPTER", "this environment has no WebGPU (navigator.gpu is undefined)", {
      fix: 'in Node, import openGpu from "adapters-webgpu/node"; in a browser, use one with WebGPU over https',
    });
  }
  const adapter = await chooseAdapter(webgpu, choice);
  if (adapter === null) {
    throw new EngineError(
      "NO_ADAPTER",
      choice === "auto" ? "there is no WebGPU adapter" : `there is no ${choice} adapter`,
      {
        fix: choice === "auto" ? "enable WebGPU, or update the graphics driver" : 'ask for adapter: "auto"',
      },
    );
  }
  return openAdapter(adapter);
}

/** Wraps a device that the caller made. */
export async function injectedGpu(device: GPUDevice): Promise<Gpu> {
  if (isNullBackend(adapterInfoOf(device))) throw nullBackendError();
  return createGpu({ device, owned: false });
}

/** The adapter of the kind asked for, or null. In `"auto"` hardware comes before software. */
export async function chooseAdapter(webgpu: GPU, choice: AdapterChoice): Promise<GPUAdapter | null> {
  const requests: GPURequestAdapterOptions[] = [
    { powerPreference: "high-performance" },
    { forceFallbackAdapter: true },
  ];
  let software: GPUAdapter | null = null;
  for (const request of requests) {
    const adapter = await webgpu.requestAdapter(request);
    if (adapter === null || isNullBackend(adapter.info)) continue;
    if (!isSoftware(adapter.info)) {
      if (choice !== "software") return adapter;
    } else if (choice !== "hardware") {
      software ??= adapter;
    }
  }
  return software;
}

/** Opens an adapter with every feature and limit that we can use and it has. */
export async function openAdapter(adapter: GPUAdapter, clock?: ClockSource): Promise<Gpu> {
  if (isNullBackend(adapter.info)) throw nullBackendError();
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice(deviceRequest(adapter, "adapters-webgpu"));
  } catch (cause) {
    throw new EngineError("NO_ADAPTER", `${adapterName(adapter.info)} gives no device: ${messageOf(cause)}`, {
      fix: "free GPU memory or update the driver, and try again",
      cause,
    });
  }
  return createGpu({ device, adapter, owned: true, ...(clock === undefined ? {} : { clock }) });
}

function nullBackendError(): EngineError {
  return new EngineError("NO_ADAPTER", "this is Dawn's null backend, which computes nothing", {
    fix: "open a real adapter; openNullDevice serves tests that only compile",
  });
}
