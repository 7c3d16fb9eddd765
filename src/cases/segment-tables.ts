/** @file Tables of segments of given lengths. */

import type { CaseTensor } from "./case.ts";

/** Offsets [S + 1] of packed segments, with a run-time number of segments. */
export function segmentTable(lengths: readonly number[]): CaseTensor {
  const data = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, s) => (data[s + 1] = (data[s] as number) + length));
  return { shape: [data.length], data, rows: "offsets" };
}
