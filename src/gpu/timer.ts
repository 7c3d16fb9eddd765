/** @file GPU times of single passes, from a pair of timestamps around each. */

import { EngineError } from "../errors.ts";
import type { BufferSlice, Gpu } from "./gpu.ts";
import { bufferUsage } from "./usage.ts";

/** WebGPU's own bound on the length of a query set, which no limit can raise. */
const MAX_QUERIES = 4096;

/** Times up to `capacity` passes of one command buffer. */
export interface GpuTimer {
  /** What pass number `index` has to write; goes into `beginComputePass({ timestampWrites })`. */
  writes(index: number): GPUComputePassTimestampWrites;
  /** Records the collection of the first `count` passes; call it after the last of them, before `finish`. */
  resolve(encoder: GPUCommandEncoder, count: number): void;
  /** What to read back to learn the times of the first `count` passes. */
  slice(count: number): BufferSlice;
  /** Nanoseconds of each pass, from the bytes of {@link slice}. */
  decode(bytes: ArrayBuffer): Float64Array;
  /** Nanoseconds from the begin of the first pass to the end of the last, what lies between them included. */
  span(bytes: ArrayBuffer): number;
  /** Nanoseconds of each of the first `count` passes, after the command buffer was submitted. */
  read(count: number): Promise<Float64Array>;
  destroy(): void;
}

/** Makes a timer, or null where the device has no timestamps. */
export function createTimer(gpu: Gpu, capacity: number): GpuTimer | null {
  if (!gpu.device.features.has("timestamp-query")) return null;
  if (!Number.isInteger(capacity) || capacity < 1 || capacity * 2 > MAX_QUERIES) {
    throw new EngineError("LIMIT", `a timer of ${capacity} passes; a query set holds 1 to ${MAX_QUERIES / 2} pairs`, {
      fix: "time fewer launches at once",
    });
  }
  const querySet = gpu.device.createQuerySet({ label: "timer", type: "timestamp", count: capacity * 2 });
  const buffer = gpu.createBuffer({
    label: "timer",
    size: capacity * 16,
    usage: bufferUsage.queryResolve | bufferUsage.copySource,
  });
  const slice = (count: number): BufferSlice => ({ buffer, offset: 0, size: count * 16 });
  return {
    writes: (index) => ({ querySet, beginningOfPassWriteIndex: 2 * index, endOfPassWriteIndex: 2 * index + 1 }),
    resolve: (encoder, count) => {
      if (count > 0) encoder.resolveQuerySet(querySet, 0, 2 * count, buffer, 0);
    },
    slice,
    decode,
    span,
    read: async (count) => {
      if (count === 0) return new Float64Array(0);
      const [bytes] = await gpu.read([slice(count)]);
      return decode(bytes as ArrayBuffer);
    },
    destroy: () => {
      querySet.destroy();
      gpu.destroyBuffer(buffer);
    },
  };
}

/** Pairs of timestamps, begin and end of each pass, to durations. */
function decode(bytes: ArrayBuffer): Float64Array {
  const stamps = new BigUint64Array(bytes);
  // Unsigned subtraction of a clock that was set back between two passes would give centuries; report 0 instead.
  return Float64Array.from({ length: stamps.length / 2 }, (_, i) =>
    Math.max(0, Number((stamps[2 * i + 1] as bigint) - (stamps[2 * i] as bigint))),
  );
}

function span(bytes: ArrayBuffer): number {
  const stamps = new BigUint64Array(bytes);
  const [first, last] = [stamps[0], stamps[stamps.length - 1]];
  return first === undefined || last === undefined ? 0 : Math.max(0, Number(last - first));
}
