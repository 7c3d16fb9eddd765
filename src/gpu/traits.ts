/** @file What a device can do, as far as the choice of a kernel variant is concerned. */

/** What a device can do, as far as the choice of a kernel variant is concerned. */
export interface DeviceTraits {
  /** A CPU that pretends to be a GPU (SwiftShader, lavapipe): barriers and workgroup memory are dear there. */
  readonly software: boolean;
  readonly subgroups: boolean;
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  readonly shaderF16: boolean;
  readonly maxWorkgroupInvocations: number;
  readonly maxWorkgroupStorageBytes: number;
  readonly maxStorageBuffers: number;
}
