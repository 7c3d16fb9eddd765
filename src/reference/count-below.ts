/** @file Numbers below bounds, by counting. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `count-below`. */
export function countBelow(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const sorted = Array.from(needTensor("count-below", inputs, "sorted").data);
  const { data, shape } = needTensor("count-below", inputs, "bounds");
  const counts = Array.from(data, (bound) => sorted.filter((value) => value < bound).length);
  return { y: { shape, data: Uint32Array.from(counts) } };
}
