/** @file Bind groups of a plan: the variable names of a kernel are the roles of its op. */

import { EngineError } from "../errors.ts";
import type { BufferSlice, Gpu, Pipeline } from "../gpu/gpu.ts";
import type { KernelBinding } from "../gpu/kernel-source.ts";
import type { DeviceCount } from "../ops/op.ts";
import type { ScheduledLaunch, Step } from "./schedule.ts";
import type { UniformBlock } from "./uniforms.ts";
import type { Node, Value } from "./value.ts";

/** Finds buffers for values and scratch names. */
export interface BindingPlaces {
  readonly slice: (value: Value) => BufferSlice;
  readonly scratch: (step: number, name: string) => { buffer: GPUBuffer; offset: number };
  readonly unused: (writable: boolean) => BufferSlice;
  /** Buffers of the launch that sets the grids which follow a symbol. */
  readonly grids: (symbol: string, name: "table" | "grids") => BufferSlice;
}

/** Makes the bind group of every launch. */
export function bindLaunches(
  gpu: Gpu,
  launches: readonly { step: number; scheduled: ScheduledLaunch; pipeline: Pipeline }[],
  steps: readonly Step[],
  uniforms: UniformBlock,
  places: BindingPlaces,
): GPUBindGroup[] {
  return launches.map(({ step, scheduled, pipeline }, index) => {
    const { launch, source, sets } = scheduled;
    const { node } = steps[step] as Step;
    const slices = source.bindings.map((binding): BufferSlice => {
      if (binding.kind === "uniform") return { buffer: uniforms.buffer, ...uniforms.range(index) };
      if (sets !== undefined) return gridBinding(sets, binding.name, node, places);
      const scratch = launch.scratch?.[binding.name];
      if (scratch !== undefined) return { ...places.scratch(step, binding.name), size: wholeVectors(scratch * 4) };
      const value = node.outputs[binding.name] ?? node.inputs[binding.name];
      if (value === undefined) return places.unused(binding.kind === "storage");
      if (binding.kind === "storage" && node.outputs[binding.name] === undefined)
        throw writesInput(launch.kernel, binding);
      const slice = places.slice(value);
      return { ...slice, size: wholeVectors(slice.size) };
    });
    return gpu.bindGroup(pipeline, slices, launch.kernel);
  });
}

/** A variable of kernels/indirect-grids.wgsl, which belongs to no op: what it reads is an output of the step that counts. */
function gridBinding({ symbol, output }: DeviceCount, name: string, node: Node, places: BindingPlaces): BufferSlice {
  if (name === "table" || name === "grids") return places.grids(symbol, name);
  return places.slice(node.outputs[output] as Value);
}

/** Kernels may bind rows as vec4: a binding covers whole vectors, and at least one. All buffers are padded so. */
function wholeVectors(bytes: number): number {
  return Math.max(Math.ceil(bytes / 16) * 16, 16);
}

function writesInput(kernel: string, binding: KernelBinding): EngineError {
  return new EngineError("COMPILE", `kernel ${kernel} would write its input ${binding.name}`, {
    where: `kernels/${kernel}.wgsl`,
  });
}
