/** @file Places of packed rows, by looking for their segments from the front. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `row-places`. */
export function rowPlaces(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const { data, shape } = needTensor("row-places", inputs, "rows");
  const segments = Array.from(needTensor("row-places", inputs, "segments").data);
  const places = Array.from(data, (row) => {
    const end = segments.findIndex((offset) => offset > row);
    return end < 0 ? row : row - (segments[end - 1] as number);
  });
  return { y: { shape, data: Uint32Array.from(places) } };
}
