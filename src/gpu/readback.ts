/**
 * @file Reading buffers back, through one staging buffer that is kept and grows, so that a warm read allocates
 * nothing on the GPU. Reads take turns: a mapped buffer cannot be copied into.
 */

import { EngineError } from "../errors.ts";
import type { Faults } from "./faults.ts";
import { bufferUsage, MAP_READ } from "./usage.ts";
import type { BufferSlice, Gpu } from "./gpu.ts";

/** Slices are copied in rounds of at most this many bytes, unless a single one is larger. */
const ROUND_BYTES = 64 * 1024 * 1024;

/** Bytes of a slice as they are copied: WebGPU copies whole words. */
const copied = (slice: BufferSlice): number => Math.ceil(slice.size / 4) * 4;

/** The readback path of one device. */
export class Readback {
  readonly #gpu: Gpu;
  readonly #faults: Faults;
  #staging: GPUBuffer | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(gpu: Gpu, faults: Faults) {
    this.#gpu = gpu;
    this.#faults = faults;
  }

  /** The bytes of each slice, once everything submitted before, and the commands of `encoder`, have run. */
  async read(slices: readonly BufferSlice[], encoder?: GPUCommandEncoder): Promise<ArrayBuffer[]> {
    for (const slice of slices) checkSlice(slice);
    const mine = this.#turn.then(() => this.#readAll(slices, encoder));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /** Frees the staging buffer, once the reads under way are over. */
  async dispose(): Promise<void> {
    await this.#turn;
    if (this.#staging !== undefined) this.#gpu.destroyBuffer(this.#staging);
    this.#staging = undefined;
  }

  async #readAll(slices: readonly BufferSlice[], encoder?: GPUCommandEncoder): Promise<ArrayBuffer[]> {
    const results: ArrayBuffer[] = [];
    let commands = encoder;
    if (slices.length === 0 && commands !== undefined) this.#gpu.submit(commands.finish());
    while (results.length < slices.length) {
      const round: BufferSlice[] = [];
      let bytes = 0;
      for (const slice of slices.slice(results.length)) {
        if (round.length > 0 && bytes + copied(slice) > ROUND_BYTES) break;
        round.push(slice);
        bytes += copied(slice);
      }
      results.push(...(await this.#readRound(round, bytes, commands)));
      commands = undefined;
    }
    return results;
  }

  async #readRound(
    slices: readonly BufferSlice[],
    bytes: number,
    commands?: GPUCommandEncoder,
  ): Promise<ArrayBuffer[]> {
    this.#faults.check();
    if (bytes === 0 && commands === undefined) return slices.map(() => new ArrayBuffer(0));
    const staging = this.#reserve(bytes);
    const encoder = commands ?? this.#gpu.device.createCommandEncoder({ label: "read" });
    let offset = 0;
    for (const slice of slices) {
      if (slice.size > 0) encoder.copyBufferToBuffer(slice.buffer, slice.offset, staging, offset, copied(slice));
      offset += copied(slice);
    }
    this.#gpu.submit(encoder.finish());
    try {
      await staging.mapAsync(MAP_READ, 0, bytes);
      const all = staging.getMappedRange(0, bytes);
      let from = 0;
      const results = slices.map((slice) => {
        const part = all.slice(from, from + slice.size);
        from += copied(slice);
        return part;
      });
      staging.unmap();
      this.#faults.check();
      return results;
    } catch (cause) {
      throw cause instanceof EngineError ? cause : await this.#faults.explain(cause, "reading back");
    }
  }

  #reserve(bytes: number): GPUBuffer {
    if (this.#staging !== undefined && this.#staging.size >= bytes) return this.#staging;
    // Doubling bounds the number of times that a growing workload reallocates; the limit bounds the doubling.
    const doubled = Math.max(bytes, 2 * (this.#staging?.size ?? 0), 65_536);
    const size = Math.max(bytes, Math.min(doubled, ROUND_BYTES));
    if (this.#staging !== undefined) this.#gpu.destroyBuffer(this.#staging);
    this.#staging = undefined;
    this.#staging = this.#gpu.createBuffer({
      label: "staging",
      size,
      usage: bufferUsage.mapRead | bufferUsage.copyTarget,
    });
    return this.#staging;
  }
}

function checkSlice({ buffer, offset, size }: BufferSlice): void {
  const where = buffer.label;
  if (offset % 4 !== 0)
    throw new EngineError("VALIDATION", `a read from byte ${offset}, which is not a multiple of 4`, { where });
  if (size < 0 || offset < 0 || offset + Math.ceil(size / 4) * 4 > buffer.size) {
    throw new EngineError("VALIDATION", `a read of bytes ${offset} to ${offset + size} of a buffer of ${buffer.size}`, {
      where,
    });
  }
}
