/** @file Tiny kernels and a way to run them, for the tests of the gpu room. */

import { bindingsOf, type KernelSource } from "../../src/gpu/kernel-source.ts";
import { STORAGE_USAGE, type BufferSlice, type Gpu, type GpuTimer } from "../../src/gpu/gpu.ts";

/** A shader text as a kernel. */
export function kernel(label: string, code: string): KernelSource {
  return { label, code, bindings: bindingsOf(code), uniform: [] };
}

/** y = factor * x. */
export function scaleKernel(factor: number): KernelSource {
  return kernel(
    "scale",
    `const FACTOR: f32 = ${factor.toFixed(1)};
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < arrayLength(&x)) { y[id.x] = FACTOR * x[id.x]; }
}`,
  );
}

/** x[i] = a chain of dependent multiply-adds of the given length; one workgroup, so that its time is predictable. */
export function slowKernel(steps: number): KernelSource {
  return kernel(
    "slow",
    `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
  var v = x[i];
  for (var n = 0u; n < ${steps}u; n += 1u) { v = fma(v, 0.999, 0.5); }
  x[i] = v;
}`,
  );
}

/** A whole buffer as a slice. */
export function whole(buffer: GPUBuffer): BufferSlice {
  return { buffer, offset: 0, size: buffer.size };
}

/** A filled storage buffer. */
export function upload(gpu: Gpu, label: string, data: Float32Array): GPUBuffer {
  const buffer = gpu.createBuffer({ label, size: data.byteLength, usage: STORAGE_USAGE });
  gpu.write(buffer, 0, data);
  return buffer;
}

/** Runs a kernel of one workgroup over buffers. */
export async function launch(
  gpu: Gpu,
  source: KernelSource,
  buffers: readonly GPUBuffer[],
  timer?: GpuTimer,
): Promise<void> {
  const pipeline = await gpu.pipeline(source);
  const group = gpu.bindGroup(pipeline, buffers.map(whole), source.label);
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass(timer === undefined ? {} : { timestampWrites: timer.writes(0) });
  pass.setPipeline(pipeline.pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(1);
  pass.end();
  timer?.resolve(encoder, 1);
  gpu.submit(encoder.finish());
}

/** The floats of a buffer. */
export async function floats(gpu: Gpu, buffer: GPUBuffer): Promise<Float32Array> {
  const [bytes] = await gpu.read([whole(buffer)]);
  return new Float32Array(bytes as ArrayBuffer);
}
