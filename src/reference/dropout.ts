/** @file Dropout in float64, with the same choices as on a device. */

import { philox } from "../random.ts";
import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `dropout`. */
export function dropout(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const { shape, data } = needTensor("dropout", inputs, "x");
  const [seed, step] = needTensor("dropout", inputs, "seed").data as unknown as [number, number];
  const [rate, stream] = [Number(attributes.rate), Number(attributes.stream)];
  const threshold = Math.min(Math.round(rate * 2 ** 32), 2 ** 32 - 1);
  const y = new Float64Array(data.length);
  for (let at = 0; at < y.length; at += 4) {
    philox([at / 4, step, 0, 0], [seed, stream]).forEach((bits, i) => {
      if (at + i < y.length && bits >= threshold) y[at + i] = (data[at + i] as number) / (1 - rate);
    });
  }
  return { y: { shape, data: y } };
}
