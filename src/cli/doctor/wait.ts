/** @file Measures whether waiting for the GPU leaves the main thread idle, as it should, or burns a core. */

import { performance } from "node:perf_hooks";
import type { Gpu } from "../../gpu/gpu.ts";
import { STORAGE_USAGE } from "../../gpu/gpu.ts";

/** What one long wait looked like from the main thread. */
export interface WaitCheck {
  readonly milliseconds: number;
  /** Share of the wait in which the event loop was busy: near 1 means polling. */
  readonly busy: number;
  readonly polite: boolean;
}

const COPY_BYTES = 2 ** 24;
/** Long against the half millisecond of polling that a polite wait begins with. */
const LONG_WAIT_MS = 20;
const MOST_COPIES = 2 ** 14;

/** Copies a buffer back and forth until a wait is long enough to be judged. */
export async function checkWaiting(gpu: Gpu): Promise<WaitCheck> {
  const size = Math.min(COPY_BYTES, gpu.device.limits.maxBufferSize);
  const pair = ["a", "b"].map((name) => gpu.createBuffer({ label: `wait ${name}`, size, usage: STORAGE_USAGE })) as [
    GPUBuffer,
    GPUBuffer,
  ];
  try {
    await gpu.done();
    for (let copies = 4; ; copies *= 4) {
      const encoder = gpu.device.createCommandEncoder({ label: "wait" });
      for (let i = 0; i < copies; i += 1) {
        const [from, to] = i % 2 === 0 ? pair : [pair[1], pair[0]];
        encoder.copyBufferToBuffer(from, 0, to, 0, size);
      }
      gpu.submit(encoder.finish());
      const start = performance.now();
      const before = performance.eventLoopUtilization();
      await gpu.done();
      const busy = performance.eventLoopUtilization(before).utilization;
      const milliseconds = performance.now() - start;
      if (milliseconds >= LONG_WAIT_MS || copies >= MOST_COPIES) return { milliseconds, busy, polite: busy < 0.5 };
    }
  } finally {
    pair.forEach((buffer) => gpu.destroyBuffer(buffer));
  }
}
