/** @file Cases of `row-dot`. */

import { hardRows, matrix, vector } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";

const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [1, 1],
  [3, 3],
  [17, 4],
  [65, 48],
  [0, 48],
  [3, 64],
  [5, 767],
  [17, 768],
  [2, 1000],
];

const dot = (name: string, x: () => Float32Array, width: number): OpCase => ({
  name,
  attributes: {},
  inputs: () => ({ x: matrix(x(), width), w: vector(normal(width + 1, width, 0.2)) }),
  // The error of a dot product is relative to Σ|x w|, up to √width times larger than a result of random signs.
  tolerance: toleranceFor(width) * Math.sqrt(width),
});

const paired = (rows: number, width: number): OpCase => ({
  ...dot(`${rows}x${width}, rows of their own`, () => normal(rows, rows * width), width),
  inputs: () => ({ x: matrix(normal(rows, rows * width), width), w: matrix(normal(width, rows * width), width) }),
});

/** Shapes and hard rows. */
export const rowDotCases: CaseTable = {
  stem: "row-dot",
  cases: [
    ...SHAPES.map(([rows, width]) => dot(`${rows}x${width}`, () => normal(rows * width, rows * width), width)),
    ...SHAPES.map(([rows, width]) => paired(rows, width)),
    dot("one dominant", () => hardRows("dominant", 5, 48), 48),
    dot("alternating", () => hardRows("alternating", 5, 768), 768),
    dot("denormals", () => hardRows("denormal", 5, 51), 51),
    { ...dot("512x768", () => normal(1, 512 * 768), 768), bench: true },
  ],
};
