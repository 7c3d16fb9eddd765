/** @file The sums of the rows of every segment, in float64. */

import { axis, needTensor } from "./rows.ts";
import { forSegments } from "./segments.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `segment-sums`. */
export function segmentSums(
  inputs: ReferenceTensors,
  { slot }: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("segment-sums", inputs, "x");
  const like = needTensor("segment-sums", inputs, "like");
  const factor = inputs.factor?.data;
  const width = axis(x, 1);
  const segments = axis(like, 0);
  const y = new Float64Array(segments * width);
  forSegments("segment-sums", inputs, (segment, start, end) => {
    if (slot !== undefined && like.data[segment] !== slot) return;
    for (let at = start * width; at < end * width; at += 1) {
      const to = segment * width + (at % width);
      y[to] = (y[to] as number) + (x.data[at] as number) * (factor?.[at] ?? 1);
    }
  });
  return { y: { shape: [segments, width], data: y } };
}
