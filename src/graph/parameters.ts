/** @file Parameters: named values that stay on the GPU between runs, with exact bytes and a shared lifetime. */

import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { bufferUsage } from "../gpu/usage.ts";
import { byteLength } from "../ops/op.ts";
import type { TensorType } from "../ops/op.ts";

interface Parameter {
  readonly buffer: GPUBuffer;
  readonly type: TensorType;
}

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
    const size = byteLength(type, staticSize);
    const usage = bufferUsage.storage | bufferUsage.copyTarget | bufferUsage.copySource;
    // Sixteen more than needed at most: kernels bind rows as vec4, and a binding must cover whole vectors.
    const buffer = this.#gpu.createBuffer({ label: name, size: Math.ceil(size / 16) * 16, usage });
    this.#known.set(name, { buffer, type });
    if (data !== undefined) this.write(name, data);
  }

  /** Rewrites (part of) a parameter, from an element offset counted in 4-byte words. */
  write(name: string, data: Float32Array | Uint32Array, wordOffset = 0): void {
    this.#gpu.write(this.get(name), wordOffset * 4, data);
  }

  /** @returns the buffer of a parameter. */
  get(name: string): GPUBuffer {
    return this.#find(name).buffer;
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
    this.#gpu.destroyBuffer(this.get(name));
    this.#known.delete(name);
  }

  /** Frees everything. */
  dispose(): void {
    for (const { buffer } of this.#known.values()) this.#gpu.destroyBuffer(buffer);
    this.#known.clear();
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
