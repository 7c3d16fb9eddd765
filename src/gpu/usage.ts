/**
 * @file The flag values that the WebGPU specification fixes. They are repeated here because Node has no globals
 * `GPUBufferUsage` and `GPUMapMode`, and a library must not create any.
 */

/** Values of `GPUBufferUsage`. */
export const bufferUsage = {
  mapRead: 0x0001,
  mapWrite: 0x0002,
  copySource: 0x0004,
  copyTarget: 0x0008,
  uniform: 0x0040,
  storage: 0x0080,
  indirect: 0x0100,
  queryResolve: 0x0200,
} as const;

/** `GPUMapMode.READ`. */
export const MAP_READ = 0x0001;

/** `GPUShaderStage.COMPUTE`. */
export const STAGE_COMPUTE = 0x0004;
