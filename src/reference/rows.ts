/** @file Reading named inputs of a reference: a missing one is an error, an absent optional one a default. */

import { EngineError } from "../errors.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** @returns the input of this name; throws SHAPE when it is missing. */
export function needTensor(op: string, inputs: ReferenceTensors, name: string): ReferenceTensor {
  const tensor = inputs[name];
  if (tensor === undefined)
    throw new EngineError("SHAPE", `${op}: input ${name} is missing`, { where: `${op}.${name}` });
  return tensor;
}

/** @returns the length of an axis. */
export function axis(tensor: ReferenceTensor, index: number): number {
  return tensor.shape[index] as number;
}

/** @returns row `index` of a matrix, without copying. */
export function rowOf(tensor: ReferenceTensor, index: number): Float64Array | Uint32Array {
  const width = axis(tensor, 1);
  return tensor.data.subarray(index * width, (index + 1) * width);
}
