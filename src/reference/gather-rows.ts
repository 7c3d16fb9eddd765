/** @file Rows by index. */

import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** x[A, D], rows[R], fill?[D] -> y[R, D]; an index past A gives `fill`, or zeros. Of whole numbers x[A] -> y[R]. */
export function gatherRows({ x, rows, fill }: ReferenceTensors): Record<string, ReferenceTensor> {
  const [sources, width = 1] = (x as ReferenceTensor).shape as readonly [number, number?];
  const indices = (rows as ReferenceTensor).data;
  const data = new Float64Array(indices.length * width);
  indices.forEach((source, r) => {
    for (let c = 0; c < width; c += 1) {
      const value = source < sources ? (x as ReferenceTensor).data[source * width + c] : fill?.data[c];
      data[r * width + c] = value ?? 0;
    }
  });
  return { y: { shape: [indices.length, ...(x as ReferenceTensor).shape.slice(1)], data } };
}
