/** @file The arena: slot buffers shared by all plans of one model, which run one after another. */

import type { BufferSlice, Gpu, Readback } from "../gpu/gpu.ts";
import { bufferUsage } from "../gpu/usage.ts";

const USAGE = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget;

/** Slot buffers that grow to the largest plan. Growing a slot changes `generation`: plans then bind anew. */
export class Arena {
  /** Brings results to the host; its staging buffer is freed with the arena. */
  readonly readback: Readback;
  readonly #gpu: Gpu;
  readonly #unused: GPUBuffer[] = [];
  readonly #slots: { buffer: GPUBuffer; bytes: number }[] = [];
  #generation = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.readback = gpu.createReadback();
  }

  get generation(): number {
    return this.#generation;
  }

  /** Bytes of all slots. */
  get bytes(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.bytes, 0);
  }

  /** Makes slot i at least `sizes[i]` bytes large. Contents of grown slots are lost. */
  reserve(sizes: readonly number[]): void {
    sizes.forEach((bytes, index) => {
      const slot = this.#slots[index];
      if (slot !== undefined && slot.bytes >= bytes) return;
      const buffer = this.#gpu.createBuffer({ label: `arena.${index}`, size: bytes, usage: USAGE });
      if (slot !== undefined) this.#gpu.destroyBuffer(slot.buffer);
      this.#slots[index] = { buffer, bytes };
      this.#generation += 1;
    });
  }

  /** @returns the buffer of a slot. */
  buffer(slot: number): GPUBuffer {
    return (this.#slots[slot] as { buffer: GPUBuffer }).buffer;
  }

  /** A small buffer for a variable that a launch leaves unused: one for variables it may write, one for the others. */
  unused(writable: boolean): BufferSlice {
    const index = writable ? 1 : 0;
    this.#unused[index] ??= this.#gpu.createBuffer({ label: "unused", size: 256, usage: USAGE });
    return { buffer: this.#unused[index], offset: 0, size: 256 };
  }

  /** Frees all buffers, once the reads under way are over. */
  async dispose(): Promise<void> {
    await this.readback.dispose();
    for (const buffer of this.#unused) if (buffer !== undefined) this.#gpu.destroyBuffer(buffer);
    this.#unused.length = 0;
    for (const { buffer } of this.#slots) this.#gpu.destroyBuffer(buffer);
    this.#slots.length = 0;
    this.#generation += 1;
  }
}
