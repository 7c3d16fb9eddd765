/** @file Parameters: named values that stay on the GPU between runs, with exact bytes and a shared lifetime. */

import { EngineError } from "../errors.ts";
import type { BufferSlice, Gpu } from "../gpu/gpu.ts";
import { bufferUsage } from "../gpu/usage.ts";
import { byteLength } from "../ops/op.ts";
import type { TensorType } from "../ops/op.ts";

interface Parameter {
  readonly buffer: GPUBuffer;
  /** Where it begins in the buffer, in bytes. */
  readonly offset: number;
  readonly type: TensorType;
  /** The buffer belongs to another parameter, of which this is a part. */
  readonly part: boolean;
}

/** Where a parameter lies that was packed with others. */
export interface PackedPlace {
  readonly name: string;
  /** Its first element in the pack, a multiple of {@link PACK_ELEMENTS}. */
  readonly at: number;
  readonly elements: number;
}

/** Parameters that lie in one buffer, which is a parameter itself. */
export interface Pack {
  /** The name of the whole, f32[elements]. */
  readonly name: string;
  readonly elements: number;
  readonly places: readonly PackedPlace[];
}

/** Packed parameters begin at multiples of so many elements: the portable alignment of a storage binding, 256 bytes. */
export const PACK_ELEMENTS = 64;

/** Resident weights by name. A plan binds them once; their contents may be rewritten at any time. */
export class Parameters {
  readonly #gpu: Gpu;
  readonly #known = new Map<string, Parameter>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Allocates a parameter and fills it when data is given (f16: packed u32 words). Throws LIMIT before WebGPU would. */
  set(name: string, type: TensorType, data?: Float32Array | Uint32Array): void {
    if (this.#known.has(name))
      throw new EngineError("UNKNOWN_NAME", `the parameter ${name} exists already`, { where: name });
    this.#known.set(name, { buffer: this.#allocate(name, byteLength(type, staticSize)), offset: 0, type, part: false });
    if (data !== undefined) this.write(name, data);
  }

  /** Rewrites (part of) a parameter, from an element offset counted in 4-byte words. */
  write(name: string, data: Float32Array | Uint32Array, wordOffset = 0): void {
    const { buffer, offset } = this.#find(name);
    this.#gpu.write(buffer, offset + wordOffset * 4, data);
  }

  /** @returns the bytes of a parameter. */
  slice(name: string): Required<BufferSlice> {
    const { buffer, offset, type } = this.#find(name);
    return { buffer, offset, size: byteLength(type, staticSize) };
  }

  /**
   * Moves f32 parameters into common buffers, so that one launch can go over all of them: as many packs as `mostBytes` a buffer ask
   * for. Their contents stay; plans that bound them are void.
   * @throws EngineError SHAPE for a parameter that is not f32, or that is packed already; LIMIT for one that no buffer holds
   */
  pack(label: string, names: readonly string[], mostBytes: number): readonly Pack[] {
    const groups: { elements: number; places: PackedPlace[] }[] = [];
    for (const name of names) {
      const elements = this.#packable(name, mostBytes) / 4;
      const room = Math.ceil(elements / PACK_ELEMENTS) * PACK_ELEMENTS;
      let group = groups.at(-1);
      if (group === undefined || (group.elements + room) * 4 > mostBytes)
        groups.push((group = { elements: 0, places: [] }));
      group.places.push({ name, at: group.elements, elements });
      group.elements += room;
    }
    return groups.map(({ elements, places }, index) => {
      const pack = { name: `${label}.${index}`, elements, places };
      this.#move(pack);
      return pack;
    });
  }

  /** @returns the bytes of a parameter that may be packed. */
  #packable(name: string, mostBytes: number): number {
    const { type, part } = this.#find(name);
    const bytes = byteLength(type, staticSize);
    if (type.element !== "f32" || part) {
      const message = part
        ? `the parameter ${name} is packed already`
        : `the parameter ${name} is ${type.element}, not f32`;
      throw new EngineError("SHAPE", message, { where: name });
    }
    if (bytes <= mostBytes) return bytes;
    const message = `the parameter ${name} has ${bytes} bytes, one binding of this device holds ${mostBytes}`;
    throw new EngineError("LIMIT", message, { where: name, fix: "leave it frozen" });
  }

  #move({ name, elements, places }: Pack): void {
    this.set(name, { shape: [elements], element: "f32" });
    const { buffer } = this.#find(name);
    const encoder = this.#gpu.device.createCommandEncoder({ label: `pack ${name}` });
    const sources = places.map((place) => this.#find(place.name));
    places.forEach(({ at, elements: count }, index) => {
      encoder.copyBufferToBuffer((sources[index] as Parameter).buffer, 0, buffer, at * 4, count * 4);
    });
    this.#gpu.device.queue.submit([encoder.finish()]);
    places.forEach((place, index) => {
      const { buffer: old, type } = sources[index] as Parameter;
      this.#known.set(place.name, { buffer, offset: place.at * 4, type, part: true });
      this.#gpu.destroyBuffer(old);
    });
  }

  /** Gives packed parameters buffers of their own again, and frees the pack. Plans that bound them are void. */
  unpack({ name, places }: Pack): void {
    const { buffer } = this.#find(name);
    const encoder = this.#gpu.device.createCommandEncoder({ label: `unpack ${name}` });
    for (const { name: part, at, elements } of places) {
      const { type, buffer: held } = this.#find(part);
      // One that was made anew since has a buffer of its own.
      if (held !== buffer) continue;
      const own = this.#allocate(part, elements * 4);
      encoder.copyBufferToBuffer(buffer, at * 4, own, 0, elements * 4);
      this.#known.set(part, { buffer: own, offset: 0, type, part: false });
    }
    this.#gpu.device.queue.submit([encoder.finish()]);
    this.delete(name);
  }

  /** Copies whole parameters to others of the same bytes. */
  copy(pairs: readonly { readonly from: string; readonly to: string }[]): void {
    const encoder = this.#gpu.device.createCommandEncoder({ label: "copy parameters" });
    for (const { from, to } of pairs) {
      const [source, target] = [this.slice(from), this.slice(to)];
      encoder.copyBufferToBuffer(source.buffer, source.offset, target.buffer, target.offset, source.size);
    }
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** @returns true when there is a parameter of that name. */
  has(name: string): boolean {
    return this.#known.has(name);
  }

  /** @returns shape and element type of a parameter. */
  typeOf(name: string): TensorType {
    return this.#find(name).type;
  }

  /** Gives a parameter another name; one that bears it already is freed. Plans that bound that one are void. */
  rename(name: string, to: string): void {
    const parameter = this.#find(name);
    if (this.#known.has(to)) this.delete(to);
    this.#known.delete(name);
    this.#known.set(to, parameter);
  }

  /** Frees one parameter. */
  delete(name: string): void {
    const { buffer, part } = this.#find(name);
    if (!part) this.#gpu.destroyBuffer(buffer);
    this.#known.delete(name);
  }

  /** Frees everything. */
  dispose(): void {
    for (const { buffer, part } of this.#known.values()) if (!part) this.#gpu.destroyBuffer(buffer);
    this.#known.clear();
  }

  #allocate(label: string, bytes: number): GPUBuffer {
    const usage = bufferUsage.storage | bufferUsage.copyTarget | bufferUsage.copySource;
    // Sixteen more than needed at most: kernels bind rows as vec4, and a binding must cover whole vectors.
    return this.#gpu.createBuffer({ label, size: Math.ceil(bytes / 16) * 16, usage });
  }

  #find(name: string): Parameter {
    const parameter = this.#known.get(name);
    if (parameter === undefined)
      throw new EngineError("UNKNOWN_NAME", `there is no parameter ${name}`, { where: name });
    return parameter;
  }
}

function staticSize(dim: TensorType["shape"][number]): number {
  if (typeof dim === "number") return dim;
  throw new EngineError("SHAPE", `a parameter cannot have the run-time axis ${dim.symbol}`);
}
