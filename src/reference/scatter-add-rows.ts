/** @file Rows added to places of a base. */

import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** base[B, D], x[R, D], rows[R], weight?[B] -> y[B, D]: y[rows[r]] += weight[rows[r]] x[r]; past B: skipped. */
export function scatterAddRows({ base, x, rows, weight }: ReferenceTensors): Record<string, ReferenceTensor> {
  const { shape } = base as ReferenceTensor;
  const [targets, width] = shape as readonly [number, number];
  const data = Float64Array.from((base as ReferenceTensor).data);
  (rows as ReferenceTensor).data.forEach((target, r) => {
    if (target >= targets) return;
    const factor = weight === undefined ? 1 : (weight.data[target] as number);
    for (let c = 0; c < width; c += 1) {
      const at = target * width + c;
      data[at] = (data[at] as number) + factor * ((x as ReferenceTensor).data[r * width + c] as number);
    }
  });
  return { y: { shape, data } };
}
