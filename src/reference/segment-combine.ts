/** @file Two matrices combined by a weight per segment and group of columns, in float64. */

import { axis, needTensor } from "./rows.ts";
import { forSegments } from "./segments.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `segment-combine`. */
export function segmentCombine(
  inputs: ReferenceTensors,
  { mode }: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const a = inputs.a?.data;
  const b = needTensor("segment-combine", inputs, "b");
  const weight = needTensor("segment-combine", inputs, "weight");
  const width = axis(b, 1);
  const groups = axis(weight, 1);
  const y = new Float64Array(b.data.length);
  forSegments("segment-combine", inputs, (segment, start, end) => {
    for (let at = start * width; at < end * width; at += 1) {
      const group = Math.floor((at % width) / (width / groups));
      const w = weight.data[segment * groups + group] as number;
      const [left, right] = [a?.[at] ?? 0, b.data[at] as number];
      if (mode === "choose") y[at] = w > 0.5 ? right : left;
      else y[at] = left + w * right;
    }
  });
  return { y: { shape: b.shape, data: y } };
}
