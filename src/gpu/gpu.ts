/**
 * @file One open device and everything made on it: buffers counted to the byte, pipelines compiled once, errors that
 * surface at the next await. This room is the only one that calls WebGPU.
 */

import { EngineError } from "../errors.ts";
import { Faults } from "./faults.ts";
import { adapterInfoOf, describeDevice, isSoftware, traitsOf, type ClockSource, type GpuInfo } from "./info.ts";
import type { KernelSource } from "./kernel-source.ts";
import { PipelineCache, type Pipeline } from "./pipelines.ts";
import { Readback } from "./readback.ts";
import { createTimer, type GpuTimer } from "./timer.ts";
import type { DeviceTraits } from "./traits.ts";
import { bufferUsage } from "./usage.ts";

export type { ClockSource, GpuInfo, MissingFeature } from "./info.ts";
export type { Pipeline } from "./pipelines.ts";
export type { Readback } from "./readback.ts";
export type { GpuTimer } from "./timer.ts";

/** A range of a buffer, in bytes. */
export interface BufferSlice {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** What to allocate. */
export interface BufferRequest {
  readonly label: string;
  /** Bytes; rounded up to a multiple of 4 and to at least 16. */
  readonly size: number;
  readonly usage: GPUBufferUsageFlags;
}

/** What {@link createGpu} wraps. */
export interface GpuSetup {
  readonly device: GPUDevice;
  /** Asked for its info where the device does not carry it. */
  readonly adapter?: GPUAdapter;
  /** Whether `dispose` destroys the device. */
  readonly owned: boolean;
  /** Overrides what the adapter's info says. */
  readonly software?: boolean;
  /** What is known about the clock; without it a device that has timestamps is taken to round them. */
  readonly clock?: ClockSource;
}

/** Live buffers of a device and their bytes. */
export interface MemoryUse {
  readonly buffers: number;
  readonly bytes: number;
}

/** How many objects of each kind were created since the device was opened. */
export interface Counters {
  readonly pipelines: number;
  readonly bindGroups: number;
  readonly buffers: number;
  readonly submits: number;
}

/**
 * A device in use.
 * @example
 * const gpu = await openGpu();
 * const pipeline = await gpu.pipeline(source);
 */
export class Gpu {
  readonly device: GPUDevice;
  readonly info: GpuInfo;
  readonly traits: DeviceTraits;
  readonly #owned: boolean;
  readonly #faults: Faults;
  readonly #pipelines: PipelineCache;
  readonly #readback: Readback;
  readonly #live = new Map<GPUBuffer, number>();
  #bytes = 0;
  #bindGroups = 0;
  #buffers = 0;
  #submits = 0;
  #disposed = false;

  constructor(setup: GpuSetup) {
    const { device } = setup;
    const adapterInfo = adapterInfoOf(device, setup.adapter);
    const software = setup.software ?? isSoftware(adapterInfo);
    const timestamps = device.features.has("timestamp-query");
    this.device = device;
    this.info = describeDevice(device, adapterInfo, software, timestamps ? (setup.clock ?? "gpu-quantised") : "wall");
    this.traits = traitsOf(device, adapterInfo, software);
    this.#owned = setup.owned;
    this.#faults = new Faults(device, setup.owned);
    this.#pipelines = new PipelineCache(device, this.#faults);
    this.#readback = new Readback(this, this.#faults);
  }

  /** Exactly the live buffers made by {@link createBuffer}, the staging buffer of {@link read} among them. */
  get memory(): MemoryUse {
    return { buffers: this.#live.size, bytes: this.#bytes };
  }

  /** Monotone counts: a warm run is one that leaves `pipelines`, `bindGroups` and `buffers` as they were. */
  get counters(): Counters {
    return {
      pipelines: this.#pipelines.created,
      bindGroups: this.#bindGroups,
      buffers: this.#buffers,
      submits: this.#submits,
    };
  }

  /**
   * Throws what went wrong since the last look: the first uncaptured error once, loss of the device and disposal always.
   * @throws EngineError VALIDATION, OUT_OF_MEMORY, DEVICE_LOST or DISPOSED
   */
  check(): void {
    this.#faults.check();
  }

  /**
   * Allocates a buffer; it reads as zeros.
   * @throws EngineError LIMIT when it is larger than the device allows
   */
  createBuffer(request: BufferRequest): GPUBuffer {
    this.#faults.check();
    const { label, usage } = request;
    if (!Number.isSafeInteger(request.size) || request.size < 0) {
      throw new EngineError("VALIDATION", `a buffer of ${request.size} bytes`, { where: label });
    }
    const size = Math.max(16, Math.ceil(request.size / 4) * 4);
    const most = this.device.limits.maxBufferSize;
    if (size > most) {
      throw new EngineError("LIMIT", `buffer ${label} needs ${size} bytes; maxBufferSize of this device is ${most}`, {
        where: label,
        fix: "use a smaller batch or capacity, f16 weights, or a device with a higher maxBufferSize",
      });
    }
    const buffer = this.device.createBuffer({ label, size, usage });
    this.#live.set(buffer, size);
    this.#bytes += size;
    this.#buffers += 1;
    return buffer;
  }

  /**
   * Frees a buffer of {@link createBuffer}.
   * @throws EngineError VALIDATION when it is not one, or not any more
   */
  destroyBuffer(buffer: GPUBuffer): void {
    const size = this.#live.get(buffer);
    if (size === undefined) {
      throw new EngineError("VALIDATION", `buffer ${buffer.label} was freed before, or is not a buffer of this GPU`, {
        where: buffer.label,
        fix: "free every buffer once, on the Gpu that created it",
      });
    }
    this.#live.delete(buffer);
    this.#bytes -= size;
    buffer.destroy();
  }

  /** Copies host data into a buffer, in the order of submissions. Offset and length are multiples of 4 bytes. */
  write(buffer: GPUBuffer, offset: number, data: ArrayBufferView): void {
    this.#faults.check();
    if (data.byteLength === 0) return;
    if (offset % 4 !== 0 || data.byteLength % 4 !== 0 || offset < 0 || offset + data.byteLength > buffer.size) {
      throw new EngineError("VALIDATION", `a write of ${data.byteLength} bytes at ${offset} into ${buffer.size}`, {
        where: buffer.label,
        fix: "keep offsets and lengths multiples of 4 and inside the buffer",
      });
    }
    this.device.queue.writeBuffer(buffer, offset, data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  }

  /**
   * Compiles a kernel, or finds it compiled: the same text with the same bindings is the same pipeline.
   * @throws EngineError COMPILE with line, column and source; LIMIT when it binds too many buffers
   */
  async pipeline(source: KernelSource): Promise<Pipeline> {
    this.#faults.check();
    return this.#pipelines.get(source);
  }

  /**
   * Binds slices to a kernel's variables, in the order of its bindings.
   * @throws EngineError VALIDATION or LIMIT naming the variable
   */
  bindGroup(pipeline: Pipeline, slices: readonly BufferSlice[], label: string): GPUBindGroup {
    this.#faults.check();
    const { bindings } = pipeline.source;
    if (slices.length !== bindings.length) {
      throw new EngineError(
        "VALIDATION",
        `${label}: ${slices.length} slices for the ${bindings.length} bindings of ${pipeline.source.label}`,
      );
    }
    const entries = bindings.map(({ binding, name, kind }, i) => {
      const slice = slices[i] as BufferSlice;
      const resource = {
        buffer: slice.buffer,
        offset: slice.offset,
        size: this.#boundSize(slice, kind === "uniform", `${label}.${name}`),
      };
      return { binding, resource };
    });
    this.#bindGroups += 1;
    return this.device.createBindGroup({ label, layout: pipeline.layout, entries });
  }

  #boundSize(slice: BufferSlice, uniform: boolean, where: string): number {
    const { limits } = this.device;
    const size = Math.max(4, Math.ceil(slice.size / 4) * 4);
    const alignmentName = uniform ? "minUniformBufferOffsetAlignment" : "minStorageBufferOffsetAlignment";
    const limitName = uniform ? "maxUniformBufferBindingSize" : "maxStorageBufferBindingSize";
    if (slice.offset % limits[alignmentName] !== 0) {
      throw new EngineError(
        "VALIDATION",
        `${where} starts at byte ${slice.offset}; ${alignmentName} is ${limits[alignmentName]}`,
        { where },
      );
    }
    if (size > limits[limitName]) {
      throw new EngineError(
        "LIMIT",
        `${where} binds ${size} bytes; ${limitName} of this device is ${limits[limitName]}`,
        {
          where,
          fix: "split the tensor by rows, use a smaller batch or f16 weights, or a device with a higher limit",
        },
      );
    }
    if (slice.offset + size > slice.buffer.size) {
      throw new EngineError(
        "VALIDATION",
        `${where} binds bytes ${slice.offset} to ${slice.offset + size} of a buffer of ${slice.buffer.size}`,
        { where },
      );
    }
    return size;
  }

  /** Hands commands to the queue. */
  submit(commands: GPUCommandBuffer): void {
    this.#faults.check();
    this.#submits += 1;
    this.device.queue.submit([commands]);
  }

  /**
   * Reads slices back once everything submitted before has run. Offsets are multiples of 4. A read no larger than one
   * before it allocates no GPU memory; concurrent reads take turns. With an `encoder`, its commands are submitted
   * together with the copies, as one command buffer.
   */
  async read(slices: readonly BufferSlice[], encoder?: GPUCommandEncoder): Promise<ArrayBuffer[]> {
    this.#faults.check();
    return this.#readback.read(slices, encoder);
  }

  /** A readback path with a staging buffer of its own, for owners that free everything they have allocated. */
  createReadback(): Readback {
    return new Readback(this, this.#faults);
  }

  /** Waits until the queue is empty, then does {@link check}. */
  async done(): Promise<void> {
    this.#faults.check();
    try {
      await this.device.queue.onSubmittedWorkDone();
    } catch (cause) {
      throw await this.#faults.explain(cause, "waiting for the queue");
    }
    this.#faults.check();
  }

  /** A timer for up to `capacity` passes, or null where the device has no timestamps. */
  createTimer(capacity: number): GpuTimer | null {
    this.#faults.check();
    return createTimer(this, capacity);
  }

  /** Frees every buffer that is left, and the device when it is ours. May be called again. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#faults.dispose();
    for (const buffer of this.#live.keys()) this.destroyBuffer(buffer);
    if (!this.#owned) return;
    this.device.destroy();
    await this.device.lost;
  }
}

/** Wraps a device. {@link openGpu} of `open.ts` or of the Node face is what applications call. */
export async function createGpu(setup: GpuSetup): Promise<Gpu> {
  return new Gpu(setup);
}

/** The usages of a buffer that kernels read and write and that the host fills and reads. */
export const STORAGE_USAGE: GPUBufferUsageFlags = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget;
