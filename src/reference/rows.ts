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

/** Elements of a reference. */
type Elements = ReferenceTensor["data"];

/**
 * The dot product of `length` elements from two places. Four sums side by side, because one long chain of additions would wait
 * for each of them; float64 does not mind the order.
 */
export function dot(a: Elements, atA: number, b: Elements, atB: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    s0 += (a[atA + i] as number) * (b[atB + i] as number);
    s1 += (a[atA + i + 1] as number) * (b[atB + i + 1] as number);
    s2 += (a[atA + i + 2] as number) * (b[atB + i + 2] as number);
    s3 += (a[atA + i + 3] as number) * (b[atB + i + 3] as number);
  }
  for (; i < length; i += 1) s0 += (a[atA + i] as number) * (b[atB + i] as number);
  return s0 + s1 + (s2 + s3);
}

/** Adds `factor` times a row to the elements of `sums` from place `at` on. */
export function addTimes(sums: Float64Array, at: number, factor: number, row: Elements): void {
  for (let i = 0; i < row.length; i += 1) sums[at + i] = (sums[at + i] as number) + factor * (row[i] as number);
}
