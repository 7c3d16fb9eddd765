/** @file Cases of `softmax-gradient`. */

import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [1, 1],
  [3, 3],
  [17, 4],
  [65, 48],
  [0, 4],
  [5, 767],
  [17, 768],
  [2, 1000],
];

/** Rows that sum to 1; the larger `spread`, the more one value takes all. */
function probabilities(rows: number, width: number, spread: number): CaseTensor {
  const weights = normal(rows + width, rows * width, spread).map(Math.exp);
  const sums = new Float64Array(rows);
  weights.forEach((weight, i) => {
    const row = Math.floor(i / width);
    sums[row] = (sums[row] as number) + weight;
  });
  return matrix(
    weights.map((weight, i) => weight / (sums[Math.floor(i / width)] as number)),
    width,
  );
}

const gradient = (rows: number, width: number, spread: number): OpCase => ({
  name: `${rows}x${width}, spread ${spread}`,
  attributes: {},
  inputs: () => ({ y: probabilities(rows, width, spread), dy: matrix(normal(width, rows * width), width) }),
  tolerance: toleranceFor(width),
});

/** Shapes, and rows in which one value takes all. */
export const softmaxGradientCases: CaseTable = {
  stem: "softmax-gradient",
  cases: [
    ...SHAPES.map(([rows, width]) => gradient(rows, width, 2)),
    gradient(9, 48, 30),
    { ...gradient(512, 512, 2), bench: true },
  ],
};
