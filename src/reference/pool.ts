/** @file One row per segment: first, mean or last. */

import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** x[R, D], segments[S + 1] -> y[S, D]; an empty segment gives zeros. */
export function pool(
  { x, segments }: ReferenceTensors,
  { mode }: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const source = x as ReferenceTensor;
  const offsets = (segments as ReferenceTensor).data;
  const width = source.shape[1] as number;
  const count = Math.max(offsets.length - 1, 0);
  const data = new Float64Array(count * width);
  for (let s = 0; s < count; s += 1) {
    const [start, end] = [offsets[s] as number, offsets[s + 1] as number];
    if (start === end) continue;
    const first = mode === "last" ? end - 1 : start;
    const last = mode === "first" ? start + 1 : end;
    for (let row = first; row < last; row += 1) {
      for (let c = 0; c < width; c += 1) {
        const at = s * width + c;
        data[at] = (data[at] as number) + (source.data[row * width + c] as number) / (last - first);
      }
    }
  }
  return { y: { shape: [count, width], data } };
}
