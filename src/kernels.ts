/**
 * @file The kernels for other people's WebGPU programs: their texts, and how to specialise one.
 * @example
 * import { kernels, libs, specialize } from "adapters-webgpu/kernels";
 * const { code, bindings } = specialize({ kernels, libs }, "softmax", { WIDTH: 512 });
 */

export { kernels, libs } from "./kernels.gen.ts";
export { bindingsOf, specialize, uniformOf } from "./gpu/kernel-source.ts";
export type { Constants, KernelBinding, KernelSource, KernelTexts, UniformField } from "./gpu/kernel-source.ts";
