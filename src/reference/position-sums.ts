/** @file Rows of segments summed by their place, in float64. */

import { axis, needTensor } from "./rows.ts";
import { forSegments } from "./segments.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `position-sums`. */
export function positionSums(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("position-sums", inputs, "x");
  const width = axis(x, 1);
  const positions = Number(attributes.positions);
  const offset = Number(attributes.positionOffset ?? 0);
  const data = new Float64Array(positions * width);
  forSegments("position-sums", inputs, (_, start, end) => {
    for (let row = start; row < end; row += 1) {
      const position = row - start + offset;
      if (position >= positions) break;
      for (let c = 0; c < width; c += 1) {
        const at = position * width + c;
        data[at] = (data[at] as number) + (x.data[row * width + c] as number);
      }
    }
  });
  return { y: { shape: [positions, width], data } };
}
