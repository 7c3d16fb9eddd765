/** @file Opening a device in Node: Dawn on the machine's GPU, else on the bundled software adapter. */

import { isMainThread } from "node:worker_threads";
import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { adapterName, isSoftware } from "../gpu/info.ts";
import { chooseAdapter, injectedGpu, openAdapter, type AdapterChoice } from "../gpu/open.ts";
import { createInstance } from "./dawn.ts";
import { softwareDriver, SOFTWARE_PACKAGE, type SoftwareDriver } from "./swiftshader.ts";
import { driversChosenByUser, ensureVulkanLoader, outlyingDriver, systemHasDrivers, withDriver } from "./vulkan.ts";

/** Options of {@link openGpu} in Node. */
export interface OpenNodeGpuOptions {
  /** Default: `"auto"`. */
  readonly adapter?: AdapterChoice;
  /** A device to use as it is. It is never destroyed. */
  readonly device?: GPUDevice;
  /** Says nothing on stderr when `"auto"` falls back to software. */
  readonly quiet?: boolean;
}

/**
 * Dawn reads the list of Vulkan drivers once per instance, so there is one instance for what the machine has and one
 * for the bundled driver. Both are kept for the life of the process: Dawn has crashed on instances that were torn down
 * and made again, and an idle instance costs nothing. Openings take turns, because the choice of drivers goes through
 * the environment of the process.
 */
const dawn: { system?: Promise<GPU>; bundled?: Promise<GPU>; turn: Promise<unknown> } = { turn: Promise.resolve() };

/** The one line about the fallback is printed once per process. */
const announced = { fallback: false };

/**
 * Opens a device. `"auto"` takes hardware, else the software adapter, which is said once on stderr.
 * @throws EngineError NO_ADAPTER when there is none of the kind asked for; MISSING_PACKAGE without `webgpu`
 * @example const gpu = await openGpu();
 */
export async function openGpu(options: OpenNodeGpuOptions = {}): Promise<Gpu> {
  if (options.device !== undefined) return injectedGpu(options.device);
  const choice = options.adapter ?? "auto";
  const gpu = await openAdapter(await requestAdapter(choice), "gpu");
  if (choice === "auto" && gpu.info.software && options.quiet !== true && !announced.fallback) {
    announced.fallback = true;
    process.stderr.write(
      `adapters-webgpu: no GPU found, using the software adapter ${adapterName(gpu.info)}; expect CPU speed\n`,
    );
  }
  return gpu;
}

/**
 * The adapter that {@link openGpu} would open, for callers that make their own device.
 * @throws EngineError NO_ADAPTER, MISSING_PACKAGE
 * @example const device = await (await requestAdapter("auto")).requestDevice();
 */
export async function requestAdapter(choice: AdapterChoice = "auto"): Promise<GPUAdapter> {
  const finding = dawn.turn.then(() => findAdapter(choice));
  dawn.turn = finding.catch(() => undefined);
  const adapter = await finding;
  if (adapter === null) throw noAdapter(choice);
  return adapter;
}

async function findAdapter(choice: AdapterChoice): Promise<GPUAdapter | null> {
  const driver = await softwareDriver();
  // Even a machine with a GPU may lack the loader, which is a package of its own.
  if (process.platform === "linux") ensureVulkanLoader(driver?.loader ?? null);
  const system = await systemAdapter(choice);
  // The system's software adapter is used where the user chose its driver, or where there is no other.
  const settled = system !== null && (!isSoftware(system.info) || driversChosenByUser());
  if (settled || choice === "hardware" || driver === null) return system;
  return (await bundledAdapter(driver)) ?? system;
}

async function systemAdapter(choice: AdapterChoice): Promise<GPUAdapter | null> {
  if (process.platform !== "linux" || driversChosenByUser())
    return chooseAdapter(await (dawn.system ??= createInstance()), choice);
  const outlying = outlyingDriver();
  if (outlying === null && !systemHasDrivers()) return null;
  dawn.system ??= outlying === null ? createInstance() : instanceWith(outlying);
  return chooseAdapter(await dawn.system, choice);
}

async function bundledAdapter(driver: SoftwareDriver): Promise<GPUAdapter | null> {
  dawn.bundled ??= instanceWith(driver.manifest);
  return chooseAdapter(await dawn.bundled, "software");
}

/** An instance that sees one driver only. The drivers are read at the first request for an adapter, so that is made here. */
async function instanceWith(manifest: string): Promise<GPU> {
  const instance = await createInstance();
  await withDriver(manifest, () => instance.requestAdapter());
  return instance;
}

function noAdapter(choice: AdapterChoice): EngineError {
  if (!isMainThread) {
    return new EngineError("NO_ADAPTER", "no adapter was found from this worker thread", {
      fix: "open the GPU on the main thread: a worker cannot tell the Vulkan loader which driver to use",
    });
  }
  const install = `npm install --save-dev ${SOFTWARE_PACKAGE} (the software adapter for Linux on x86-64)`;
  if (choice === "hardware") {
    return new EngineError("NO_ADAPTER", "no hardware GPU adapter was found", {
      fix: 'install the GPU\'s Vulkan driver, name its manifest in VK_DRIVER_FILES, or ask for adapter: "auto" or "software"',
    });
  }
  const message =
    choice === "software" ? "no software adapter was found" : "neither a GPU nor a software adapter was found";
  return new EngineError("NO_ADAPTER", message, {
    fix: choice === "software" ? install : `install the GPU's Vulkan driver, or ${install}`,
  });
}
