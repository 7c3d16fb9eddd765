/** @file Cases of `sum-rows`. */

import { hardRows, matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";

/** Up to 256 rows make blocks of 16; 17 and 257 are one over, 1025 makes a last block of one row. */
const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [0, 5],
  [0, 8],
  [1, 1],
  [1, 4],
  [16, 3],
  [17, 4],
  [65, 48],
  [256, 7],
  [257, 12],
  [1025, 1],
  [1025, 8],
  [3, 1001],
];

function sum(name: string, width: number, make: () => Float32Array, weighted: boolean): OpCase {
  return {
    name: weighted ? `${name}, weighted` : name,
    attributes: {},
    inputs: () => {
      const x = matrix(make(), width);
      const [rows = 0] = x.shape;
      return weighted ? { x, weight: { shape: [rows], data: normal(rows, rows), rows: "rows" } } : { x };
    },
    // Relative to Σ|x|, which is up to √R times larger than a sum of random signs; R is at most 1025 here.
    tolerance: toleranceFor(1025) * Math.sqrt(1025),
  };
}

const both = (name: string, width: number, make: () => Float32Array): OpCase[] => [
  sum(name, width, make, false),
  sum(name, width, make, true),
];

/** Shapes, with and without factors, and hard rows. */
export const sumRowsCases: CaseTable = {
  stem: "sum-rows",
  cases: [
    ...SHAPES.flatMap(([rows, width]) => both(`${rows}x${width}`, width, () => normal(rows + width, rows * width))),
    sum("offset", 48, () => hardRows("offset", 65, 48), false),
    sum("dominant", 48, () => hardRows("dominant", 65, 48), false),
    sum("denormals", 51, () => hardRows("denormal", 33, 51), false),
    { ...sum("512x768", 768, () => normal(1, 512 * 768), false), bench: true },
    { ...sum("4096x768", 768, () => normal(1, 4096 * 768), true), bench: true },
  ],
};
