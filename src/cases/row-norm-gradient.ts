/** @file The cases that the gradients of both norms run: shapes, a residual, row vectors, hard values, and some that are timed. */

import type { Attributes } from "../ops/op.ts";
import { hardRows, matrix, vector } from "./case-tensors.ts";
import type { HardRows } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { OpCase } from "./case.ts";

interface Gradient {
  readonly rows: number;
  readonly width: number;
  readonly residual?: boolean;
  readonly affine?: boolean;
  readonly values?: HardRows;
  readonly bench?: boolean;
}

const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [3, 3],
  [17, 4],
  [65, 48],
  [3, 64],
  [17, 768],
  [2, 1001],
  [0, 48],
  [257, 12],
];

const FORMS: readonly Gradient[] = [
  ...SHAPES.flatMap(([rows, width]) => [
    { rows, width },
    { rows, width, affine: true },
  ]),
  { rows: 1, width: 1, residual: true },
  { rows: 17, width: 48, residual: true },
  { rows: 18, width: 13, residual: true, affine: true },
  { rows: 5, width: 768, values: "offset", affine: true },
  { rows: 5, width: 768, values: "dominant", affine: true },
  { rows: 5, width: 768, values: "alternating", affine: true },
  { rows: 5, width: 768, values: "denormal", affine: true },
  { rows: 5, width: 768, values: "equal" },
  { rows: 512, width: 768, bench: true },
  { rows: 512, width: 768, residual: true, bench: true },
  { rows: 512, width: 768, affine: true, bench: true },
];

/** The cases of a norm's gradient; `attributes` are merged into every case's. */
export function normGradientCases(attributes: Attributes & { readonly eps: number }): readonly OpCase[] {
  return FORMS.map((form) => {
    const { rows, width, residual = false, affine = false, values, bench = false } = form;
    const parts = [`${rows}x${width}`, ...(residual ? ["residual"] : []), ...(affine ? ["row vectors"] : [])];
    return {
      name: [...parts, ...(values === undefined ? [] : [`${values} values`])].join(", "),
      attributes: { ...attributes, ...(affine ? { affine } : {}) },
      inputs: () => ({
        x: matrix(values === undefined ? normal(1, rows * width, 2, 0.5) : hardRows(values, rows, width), width),
        gamma: vector(normal(2, width, 0.3, 1)),
        dy: matrix(normal(3, rows * width), width),
        ...(residual ? { residual: matrix(normal(4, rows * width), width) } : {}),
      }),
      // Three sums over a row, or one over the rows. Of a row of one value the rounding of g is left, times 1 / √eps at most.
      tolerance: (2 * toleranceFor(Math.max(rows, width))) / (width === 1 ? Math.sqrt(attributes.eps) : 1),
      ...(bench ? { bench } : {}),
    };
  });
}
