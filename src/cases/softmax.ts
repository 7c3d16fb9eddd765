/** @file Cases of `softmax`. */

import { hardRows, matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";

const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [1, 1],
  [3, 3],
  [17, 4],
  [65, 48],
  [0, 4],
  [3, 64],
  [5, 767],
  [17, 768],
  [2, 1000],
];

// The error of an exponential grows with its argument: exp(-80) is right to 80 roundings (WGSL: 3 + 2|x| ULP), but in a
// softmax such a term weighs e^-80.
const shaped: readonly OpCase[] = SHAPES.map(([rows, width]) => ({
  name: `${rows}x${width}`,
  attributes: {},
  inputs: () => ({ x: matrix(normal(rows + width, rows * width, 3), width) }),
  tolerance: toleranceFor(width),
}));

const hard = (name: string, width: number, make: () => Float32Array): OpCase => ({
  name,
  attributes: {},
  inputs: () => ({ x: matrix(make(), width) }),
  tolerance: toleranceFor(width),
});

/** Shapes, and logits that overflow or vanish without care. */
export const softmaxCases: CaseTable = {
  stem: "softmax",
  cases: [
    ...shaped,
    hard("logits of ±80", 100, () => normal(1, 1700).map((value) => (value > 0 ? 80 : -80))),
    hard("logits around 1e4", 48, () => hardRows("offset", 5, 48)),
    hard("all equal", 48, () => hardRows("equal", 5, 48)),
    hard("one dominant", 48, () => hardRows("dominant", 5, 48)),
    hard("denormals", 51, () => hardRows("denormal", 5, 51)),
    hard("masked by -inf", 8, () => normal(2, 64).map((value, i) => (i % 8 > i / 8 ? -Infinity : value))),
    { ...hard("512x512", 512, () => normal(3, 512 * 512, 3)), bench: true },
  ],
};
