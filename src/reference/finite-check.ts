/** @file The first element that is not finite. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `finite-check`. */
export function finiteCheck(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const first = needTensor("finite-check", inputs, "x").data.findIndex((value: number) => !Number.isFinite(value));
  return { y: { shape: [1], data: Uint32Array.of(first < 0 ? 0xffffffff : first) } };
}
