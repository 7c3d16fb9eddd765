/** @file The mean over a segment's rows of a sigmoid of the row, in float64 (MATHS §2.2). */

import { activate } from "./activation.ts";
import { axis, dot, needTensor } from "./rows.ts";
import { forSegments, slotOf } from "./segments.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `segment-gate`. */
export function segmentGate(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("segment-gate", inputs, "x");
  const gates = Number(attributes.gates);
  const first = Number(attributes.firstGate ?? 0);
  const held = Number(attributes.slotGates ?? gates);
  const width = axis(x, 1);
  const segments = needTensor("segment-gate", inputs, "segment_slots").data.length;
  const y = new Float64Array(segments * gates);
  forSegments("segment-gate", inputs, (segment, start, end) => {
    const slot = slotOf("segment-gate", inputs, segment);
    if (slot === null || start === end) return;
    for (let gate = 0; gate < gates; gate += 1) {
      const bias = slot[held * width + first + gate] as number;
      let sum = 0;
      for (let row = start; row < end; row += 1) {
        sum += activate("sigmoid", dot(x.data, row * width, slot, (first + gate) * width, width) + bias);
      }
      y[segment * gates + gate] = sum / (end - start);
    }
  });
  return { y: { shape: [segments, gates], data: y } };
}
