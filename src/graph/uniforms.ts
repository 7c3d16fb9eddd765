/** @file All uniform structs of a plan in one buffer, written once per run and only when a length has changed. */

import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { bufferUsage } from "../gpu/usage.ts";
import type { SizeOf } from "../ops/op.ts";
import type { ScheduledLaunch, Sizes } from "./schedule.ts";

const STRIDE = 256; // the portable minUniformBufferOffsetAlignment

/** The `Params` of every launch, one 256-byte block each. */
export class UniformBlock {
  readonly buffer: GPUBuffer;
  readonly #gpu: Gpu;
  readonly #launches: readonly ScheduledLaunch[];
  readonly #bytes: ArrayBuffer;
  readonly #view: DataView;
  #written = "";

  constructor(gpu: Gpu, launches: readonly ScheduledLaunch[]) {
    launches.forEach(checkFields);
    this.#gpu = gpu;
    this.#launches = launches;
    this.#bytes = new ArrayBuffer(Math.max(launches.length, 1) * STRIDE);
    this.#view = new DataView(this.#bytes);
    const usage = bufferUsage.uniform | bufferUsage.copyTarget;
    this.buffer = gpu.createBuffer({ label: "uniforms", size: this.#bytes.byteLength, usage });
  }

  /** Byte range of a launch's struct. */
  range(launch: number): { offset: number; size: number } {
    const fields = (this.#launches[launch] as ScheduledLaunch).source.uniform.length;
    return { offset: launch * STRIDE, size: Math.max(Math.ceil((fields * 4) / 16) * 16, 16) };
  }

  /** Fills the structs for these lengths. */
  write(sizes: Sizes, size: SizeOf): void {
    const key = JSON.stringify(sizes);
    if (key === this.#written) return;
    this.#launches.forEach(({ launch, source }, index) => {
      source.uniform.forEach(({ name, type }, field) => {
        const given = launch.uniform[name] as NonNullable<(typeof launch.uniform)[string]>;
        const value = typeof given === "function" ? given(size) : size(given);
        const at = index * STRIDE + field * 4;
        if (type === "f32") this.#view.setFloat32(at, value, true);
        else if (type === "i32") this.#view.setInt32(at, value, true);
        else this.#view.setUint32(at, value, true);
      });
    });
    this.#gpu.write(this.buffer, 0, new Uint8Array(this.#bytes));
    this.#written = key;
  }

  /** Frees the buffer. */
  dispose(): void {
    this.#gpu.destroyBuffer(this.buffer);
  }
}

/** The uniform of a launch and the struct of its kernel must name the same fields. */
function checkFields({ launch, source }: ScheduledLaunch): void {
  const declared = source.uniform.map(({ name }) => name);
  const missing = declared.filter((name) => launch.uniform[name] === undefined);
  const unknown = Object.keys(launch.uniform).filter((name) => !declared.includes(name));
  if (missing.length === 0 && unknown.length === 0 && declared.length * 4 <= STRIDE) return;
  const message = `kernel ${launch.kernel}: Params lacks ${missing.join(", ") || "nothing"}, does not know ${unknown.join(", ") || "nothing"}`;
  throw new EngineError("COMPILE", message, { where: `kernels/${launch.kernel}.wgsl` });
}
