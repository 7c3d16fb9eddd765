/**
 * @file What we ask a device for, by name and with a reason, and what it turned out to be. Nothing is required:
 * a device with no features and the default limits is a device that everything here runs on.
 */

import type { DeviceTraits } from "./traits.ts";

/** A feature that was asked for and is not there. */
export interface MissingFeature {
  readonly name: string;
  /** What it would have been used for. */
  readonly reason: string;
}

/** Where launch times come from: GPU timestamps, timestamps rounded for privacy, or the host's clock. */
export type ClockSource = "gpu" | "gpu-quantised" | "wall";

/** What the adapter and the device say about themselves. */
export interface GpuInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** The adapter is a CPU: SwiftShader, lavapipe, WARP. */
  readonly software: boolean;
  /** All features that the device has. */
  readonly features: readonly string[];
  /** The limits that we use, as the device has them. */
  readonly limits: Readonly<Record<string, number>>;
  readonly clock: ClockSource;
  readonly missing: readonly MissingFeature[];
}

/** Optional features, each with its use. Names that a WebGPU implementation does not know are simply not offered. */
export const wantedFeatures: Readonly<Record<string, string>> = {
  "timestamp-query": "GPU times of single launches",
  "shader-f16": "the matmul variant that computes in half precision",
  subgroups: "matmul and reduction variants that exchange values without workgroup memory",
  "subgroup-size-control": "a fixed subgroup size, which subgroup matrices need",
  "chromium-experimental-subgroup-matrix": "matmul on tensor cores",
};

/** Limits that are raised to what the adapter has, each with its use. */
export const wantedLimits: Readonly<Record<string, string>> = {
  maxBufferSize: "large weights and the activation arena",
  maxStorageBufferBindingSize: "embedding tables in one binding",
  maxUniformBufferBindingSize: "launch parameters",
  maxStorageBuffersPerShaderStage: "fused kernels with optional inputs",
  maxComputeWorkgroupStorageSize: "tiles of the workgroup variants",
  maxComputeInvocationsPerWorkgroup: "wide tiles",
  maxComputeWorkgroupSizeX: "wide tiles",
  maxComputeWorkgroupSizeY: "wide tiles",
  maxComputeWorkgroupSizeZ: "wide tiles",
  maxComputeWorkgroupsPerDimension: "long batches",
  minStorageBufferOffsetAlignment: "dense packing of the arena",
  minUniformBufferOffsetAlignment: "dense packing of launch parameters",
};

/** The descriptor that asks an adapter for everything of the two lists that it offers. */
export function deviceRequest(adapter: GPUAdapter, label: string): GPUDeviceDescriptor {
  const requiredFeatures = Object.keys(wantedFeatures).filter((name) => adapter.features.has(name)) as GPUFeatureName[];
  return { label, requiredFeatures, requiredLimits: readLimits(adapter.limits) };
}

/** The limits of {@link wantedLimits} that the object defines. */
export function readLimits(limits: GPUSupportedLimits): Record<string, number> {
  const table = limits as unknown as Readonly<Record<string, number | undefined>>;
  const found: Record<string, number> = {};
  for (const name of Object.keys(wantedLimits)) {
    const value = table[name];
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** The adapter info of a device, by way of the adapter where the implementation lacks `device.adapterInfo`. */
export function adapterInfoOf(device: GPUDevice, adapter?: GPUAdapter): Partial<GPUAdapterInfo> {
  return (device.adapterInfo as GPUAdapterInfo | undefined) ?? adapter?.info ?? {};
}

/** Whether an adapter is a CPU. The specification's flag is asked first; names catch implementations without it. */
export function isSoftware(info: Partial<GPUAdapterInfo>): boolean {
  if (info.isFallbackAdapter === true) return true;
  const names = [info.vendor, info.architecture, info.device, info.description].join(" ");
  return /swiftshader|llvmpipe|lavapipe|softpipe|basic render driver|\bwarp\b/i.test(names);
}

/** Whether this is Dawn's null backend, which accepts every call and computes nothing. */
export function isNullBackend(info: Partial<GPUAdapterInfo>): boolean {
  return /null[- ]backend/i.test([info.device, info.description].join(" "));
}

/** One line for people: what the adapter is called. */
export function adapterName(info: Partial<GPUAdapterInfo>): string {
  const named = [info.description, info.device, info.architecture, info.vendor].find(
    (name) => name !== undefined && name !== "",
  );
  return named ?? "an unnamed adapter";
}

/** Describes an open device. */
export function describeDevice(
  device: GPUDevice,
  info: Partial<GPUAdapterInfo>,
  software: boolean,
  clock: ClockSource,
): GpuInfo {
  const missing = Object.entries(wantedFeatures)
    .filter(([name]) => !device.features.has(name))
    .map(([name, reason]) => ({ name, reason }));
  return {
    vendor: info.vendor ?? "",
    architecture: info.architecture ?? "",
    device: info.device ?? "",
    description: info.description ?? "",
    software,
    features: [...device.features].sort(),
    limits: readLimits(device.limits),
    clock,
    missing,
  };
}

/** What the choice of kernel variants may rely on: features of the device itself, never those of its adapter. */
export function traitsOf(device: GPUDevice, info: Partial<GPUAdapterInfo>, software: boolean): DeviceTraits {
  const subgroups = device.features.has("subgroups");
  return {
    software,
    subgroups,
    // WebGPU guarantees sizes between 4 and 128 where the adapter does not say.
    subgroupMinSize: subgroups ? (info.subgroupMinSize ?? 4) : 0,
    subgroupMaxSize: subgroups ? (info.subgroupMaxSize ?? 128) : 0,
    shaderF16: device.features.has("shader-f16"),
    maxWorkgroupInvocations: device.limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupStorageBytes: device.limits.maxComputeWorkgroupStorageSize,
    maxStorageBuffers: device.limits.maxStorageBuffersPerShaderStage,
  };
}
