/**
 * @file Which adapter everybody uses: the one that adapters-webgpu opens by itself. Run as a program it prints that
 * adapter's facts as JSON, for engines that bring a WebGPU implementation of their own and should not find a second one
 * in their process.
 */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  adapterName,
  driversChosenByUser,
  isSoftware,
  outlyingDriver,
  requestAdapter,
  softwareDriver,
} from "./engine.mjs";

/** `navigator.gpu` and the constants of WebGPU, for libraries that look for them in the global object. */
export async function installNavigator() {
  const { globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const gpu = { requestAdapter: () => requestAdapter("auto") };
  const value = { gpu, userAgent: `Node.js/${process.versions.node}`, hardwareConcurrency: 2 };
  Object.defineProperty(globalThis, "navigator", { value, configurable: true });
}

/** The environment in which a Vulkan loader offers the adapter of {@link requestAdapter} and no other. */
async function adapterFacts() {
  const { info } = await requestAdapter("auto");
  const software = isSoftware(info);
  const bundled = software && !driversChosenByUser() ? (await softwareDriver())?.manifest : undefined;
  const manifest = bundled ?? outlyingDriver();
  const named = manifest !== null && !driversChosenByUser();
  return {
    name: adapterName(info),
    software,
    environment: named ? { VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest } : {},
  };
}

/** {@link adapterFacts} as another process sees them. */
export function adapterFactsElsewhere() {
  return JSON.parse(
    execFileSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url)], { encoding: "utf8" }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(JSON.stringify(await adapterFacts()));
