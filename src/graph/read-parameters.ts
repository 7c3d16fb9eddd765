/** @file Parameters read back from the GPU: exactly the numbers that kernels see. */

import type { BufferSlice } from "../gpu/gpu.ts";
import { f16ToF32 } from "../half.ts";
import { elementCount } from "../ops/op.ts";
import type { Parameters } from "./parameters.ts";

/** A GPU, or a readback of one's own where its buffers are not to stay. */
export interface ParameterReader {
  read(slices: readonly BufferSlice[]): Promise<ArrayBuffer[]>;
}

/** @returns the values of parameters by name; halves come as f32 */
export async function readParameters(
  reader: ParameterReader,
  parameters: Parameters,
  names: readonly string[],
): Promise<Map<string, Float32Array | Uint32Array>> {
  const bytes = await reader.read(names.map((name) => parameters.slice(name)));
  return new Map(
    names.map((name, index): [string, Float32Array | Uint32Array] => {
      const type = parameters.typeOf(name);
      const raw = bytes[index] as ArrayBuffer;
      if (type.element === "u32") return [name, new Uint32Array(raw)];
      if (type.element === "f32") return [name, new Float32Array(raw)];
      // The last word of an odd number of halves is half empty.
      return [
        name,
        f16ToF32(new Uint16Array(raw)).subarray(
          0,
          elementCount(type, (dim) => dim as number),
        ),
      ];
    }),
  );
}
