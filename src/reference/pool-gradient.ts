/** @file The gradient of pooling in float64. */

import { axis, needTensor } from "./rows.ts";
import { forSegments } from "./segments.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `pool-gradient`. */
export function poolGradient(
  inputs: ReferenceTensors,
  { mode }: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("pool-gradient", inputs, "x");
  const dy = needTensor("pool-gradient", inputs, "dy").data;
  const width = axis(x, 1);
  const data = new Float64Array(axis(x, 0) * width);
  forSegments("pool-gradient", inputs, (s, start, end) => {
    const first = mode === "last" ? Math.max(end - 1, start) : start;
    const last = mode === "first" ? Math.min(start + 1, end) : end;
    for (let row = first; row < last; row += 1)
      for (let c = 0; c < width; c += 1) data[row * width + c] = (dy[s * width + c] as number) / (last - first);
  });
  return { dx: { shape: x.shape, data } };
}
