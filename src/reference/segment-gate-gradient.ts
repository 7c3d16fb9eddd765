/** @file The gradient of the gates of segments, in float64. */

import { activationSlope } from "./activation-gradient.ts";
import { axis, dot, needTensor } from "./rows.ts";
import { forSegments, slotOf } from "./segments.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `segment-gate-gradient`. */
export function segmentGateGradient(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const stem = "segment-gate-gradient";
  const x = needTensor(stem, inputs, "x");
  const dy = needTensor(stem, inputs, "dy").data;
  const gates = Number(attributes.gates);
  const first = Number(attributes.firstGate ?? 0);
  const held = Number(attributes.slotGates ?? gates);
  const [rows, width] = [axis(x, 0), axis(x, 1)];
  const dx = new Float64Array(rows * width);
  const dz = new Float64Array(rows * gates);
  forSegments(stem, inputs, (segment, start, end) => {
    const slot = slotOf(stem, inputs, segment);
    if (slot === null) return;
    const trained = needTensor(stem, inputs, "segment_slots").data[segment] === attributes.slot;
    for (let row = start; row < end; row += 1) {
      for (let gate = 0; gate < gates; gate += 1) {
        const at = (first + gate) * width;
        const z = dot(x.data, row * width, slot, at, width) + (slot[held * width + first + gate] as number);
        const gradient = ((dy[segment * gates + gate] as number) * activationSlope("sigmoid", z)) / (end - start);
        if (trained) dz[row * gates + gate] = gradient;
        for (let c = 0; c < width; c += 1)
          dx[row * width + c] = (dx[row * width + c] as number) + gradient * (slot[at + c] as number);
      }
    }
  });
  return {
    ...(attributes.input === true ? { dx: { shape: x.shape, data: dx } } : {}),
    ...(attributes.slot === undefined ? {} : { dz: { shape: [rows, gates], data: dz } }),
  };
}
