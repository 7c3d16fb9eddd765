/** @file Inputs of row cases: matrices with run-time rows, row vectors, and rows that are hard to reduce. */

import { generator, normal } from "./case.ts";
import type { CaseTensor } from "./case.ts";

/** A matrix whose first axis is the run-time length `symbol`. */
export function matrix(data: Float32Array, width: number, symbol = "rows"): CaseTensor {
  return { shape: [width === 0 ? 0 : data.length / width, width], data, rows: symbol };
}

/** A vector of a length known before the run. */
export function vector(data: Float32Array): CaseTensor {
  return { shape: [data.length], data };
}

/** Row indices: `count` distinct numbers below `below`, in a shuffled order. */
export function distinctRows(seed: number, count: number, below: number, symbol: string): CaseTensor {
  const random = generator(seed);
  const order = Uint32Array.from({ length: below }, (_, i) => i);
  for (let i = below - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    const swapped = order[i] as number;
    order[i] = order[j] as number;
    order[j] = swapped;
  }
  return { shape: [count], data: order.slice(0, count), rows: symbol };
}

/** Kinds of rows that reveal careless reductions. */
export type HardRows = "offset" | "equal" | "dominant" | "denormal" | "alternating";

/** A matrix of hard rows: see {@link HardRows}. */
export function hardRows(kind: HardRows, rows: number, width: number): Float32Array {
  const noise = normal(rows * 1009 + width, rows * width);
  switch (kind) {
    case "offset": // a mean 10,000 times the deviation, and not the same in every row
      return noise.map((value, i) => 1e4 + 37 * Math.floor(i / width) + value);
    case "equal":
      return noise.map((_, i) => 3.7 - Math.floor(i / width));
    case "dominant": // one value dwarfs its row, once in every place
      return noise.map((value, i) => (i % width === Math.floor(i / width) % width ? 1e5 : value));
    case "denormal": // below the smallest normal number, beside ordinary values
      return noise.map((value, i) => (i % 3 === 0 ? value : value * 1e-40));
    case "alternating": // large values that cancel
      return noise.map((value, i) => (i % 2 === 0 ? 1e3 : -1e3) + value);
  }
}
