/** @file A scale and a shift per column from the slot of each segment, in float64. */

import { axis, needTensor } from "./rows.ts";
import { forSegments, slotOf } from "./segments.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `segment-affine`. */
export function segmentAffine(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("segment-affine", inputs, "x");
  const residual = inputs.residual?.data;
  const width = axis(x, 1);
  const { scaleAt, shiftAt } = attributes;
  const first = Number(attributes.firstColumn ?? 0);
  const y = new Float64Array(x.data.length);
  forSegments("segment-affine", inputs, (segment, start, end) => {
    const slot = slotOf("segment-affine", inputs, segment);
    for (let at = start * width; at < end * width; at += 1) {
      const column = first + (at % width);
      const value = x.data[at] as number;
      if (slot === null) {
        y[at] = residual === undefined ? value : (residual[at] as number);
        continue;
      }
      const scale = scaleAt === undefined ? 1 : (slot[Number(scaleAt) + column] as number);
      const shift = shiftAt === undefined ? 0 : (slot[Number(shiftAt) + column] as number);
      y[at] = (residual?.[at] ?? 0) + value * scale + shift;
    }
  });
  return { y: { shape: x.shape, data: y } };
}
