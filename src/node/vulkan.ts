/**
 * @file Vulkan on Linux, as far as we have to help it: is there a loader, are there drivers, and a loader of our own
 * where the system has none.
 */

import { existsSync, readdirSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { messageOf } from "../gpu/faults.ts";

/** The variables with which people choose Vulkan drivers themselves; the first wins over the second. */
const DRIVER_VARIABLES = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] as const;

/** Where container platforms put the GPU's manifest although no loader looks there. */
const OUTLYING_MANIFESTS = ["/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json"];

/** `RTLD_NODELETE` of glibc and musl, which Node does not list. */
const RTLD_NODELETE = 0x1000;

/** Whether the user names the drivers to use; that choice is left alone. */
export function driversChosenByUser(): boolean {
  return DRIVER_VARIABLES.some((name) => (process.env[name] ?? "") !== "");
}

/** The manifest of a GPU driver that the loader would not find by itself, or null. */
export function outlyingDriver(): string | null {
  return OUTLYING_MANIFESTS.find((file) => existsSync(file)) ?? null;
}

/** Whether any driver is installed where the Vulkan loader looks. Without one it only prints warnings. */
export function systemHasDrivers(): boolean {
  if ((process.env["VK_ADD_DRIVER_FILES"] ?? "") !== "") return true;
  const home = process.env["HOME"] ?? "/";
  const list = (value: string | undefined, fallback: string): string[] =>
    (value === undefined || value === "" ? fallback : value).split(":");
  const roots = [
    process.env["XDG_CONFIG_HOME"] ?? join(home, ".config"),
    ...list(process.env["XDG_CONFIG_DIRS"], "/etc/xdg"),
    "/etc",
    process.env["XDG_DATA_HOME"] ?? join(home, ".local/share"),
    ...list(process.env["XDG_DATA_DIRS"], "/usr/local/share:/usr/share"),
  ];
  return roots.some((root) => manifestsIn(join(root, "vulkan/icd.d")));
}

function manifestsIn(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith(".json"));
}

/**
 * Makes sure that the process has a Vulkan loader: the system's, else the given file. Dawn asks the dynamic linker for
 * `libvulkan.so.1`, and the linker answers with a library of that name that is already loaded. `process.dlopen` is the
 * way to load one: it then looks for a Node addon inside, finds none and throws, but `RTLD_NODELETE` keeps the library.
 */
export function ensureVulkanLoader(bundled: string | null): boolean {
  if (loadLibrary("libvulkan.so.1")) return true;
  return bundled !== null && loadLibrary(bundled);
}

function loadLibrary(file: string): boolean {
  try {
    process.dlopen({ exports: {} }, file, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | RTLD_NODELETE);
    return true;
  } catch (error) {
    return /did not self-register/.test(messageOf(error));
  }
}

/** Runs something while the loader sees exactly one driver, then puts the environment back. */
export async function withDriver<T>(manifest: string, action: () => Promise<T>): Promise<T> {
  const before = DRIVER_VARIABLES.map((name) => [name, process.env[name]] as const);
  for (const name of DRIVER_VARIABLES) process.env[name] = manifest;
  try {
    return await action();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
