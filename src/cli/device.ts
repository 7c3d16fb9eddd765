/** @file Opening the device that a command runs on, and its description for people and machines. */

import type { Gpu, GpuInfo } from "../gpu/gpu.ts";
import type { AdapterChoice } from "../gpu/open.ts";
import { openGpu } from "../node/open.ts";
import type { Io } from "./command.ts";

/** What `--device` takes; the first is the default. */
export const deviceChoices: readonly [AdapterChoice, ...AdapterChoice[]] = ["auto", "hardware", "software"];

/** A device as results record it. */
export interface DeviceRecord {
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly software: boolean;
  readonly clock: string;
}

/** Opens a device; falling back to software is said on the command's own stderr. */
export async function openDevice(choice: AdapterChoice, io: Io): Promise<Gpu> {
  const gpu = await openGpu({ adapter: choice, quiet: true });
  if (choice === "auto" && gpu.info.software) {
    io.stderr.write(`no GPU found, using the software adapter ${deviceName(gpu.info)}; expect CPU speed\n`);
  }
  return gpu;
}

/** @returns the name that people know the adapter by. */
export function deviceName(info: GpuInfo): string {
  return (
    [info.device, info.description, info.architecture, info.vendor].find((name) => name !== "") ?? "unnamed adapter"
  );
}

/** @returns what a result says about the device that it came from. */
export function deviceRecord(info: GpuInfo): DeviceRecord {
  const { vendor, architecture, software, clock } = info;
  return { name: deviceName(info), vendor, architecture, software, clock };
}

/** @returns one line: name, driver, kind. */
export function deviceLine(info: GpuInfo): string {
  const parts = [info.description, info.architecture, info.vendor].filter((part, index, all) => {
    return part !== "" && part !== deviceName(info) && all.indexOf(part) === index;
  });
  const rest = parts.length === 0 ? "" : ` (${parts.join(", ")})`;
  return `${deviceName(info)}${rest}, ${info.software ? "software: runs on the CPU" : "hardware"}`;
}
