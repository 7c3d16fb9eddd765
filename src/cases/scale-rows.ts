/** @file Cases of `scale-rows`: one rounding a value. */

import { distinctRows, matrix } from "./case-tensors.ts";
import { normal } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";

const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [1, 1],
  [0, 8],
  [17, 5],
  [65, 260],
  [9, 768],
  // More rows than one dimension of a grid holds.
  [65_537, 1],
];

function scaled(rows: number, width: number, selected: boolean): OpCase {
  return {
    name: `${rows} x ${width}${selected ? ", selected" : ""}`,
    attributes: {},
    inputs: () => {
      const weights = selected ? 2 * rows + 3 : rows;
      const x = matrix(normal(width, rows * width), width);
      const weight = { shape: [weights], data: normal(rows + 1, weights), rows: selected ? "weights" : "rows" };
      if (!selected) return { x, weight };
      const chosen = distinctRows(rows, rows, weights, "rows");
      // A sentinel, and the first row past the end.
      if (rows > 5) (chosen.data as Uint32Array).set([0xffffffff, weights], 3);
      return { x, weight, rows: chosen };
    },
    tolerance: 2 ** -23,
  };
}

/** One row, which every number multiplies. */
function repeated(rows: number, width: number): OpCase {
  return {
    name: `1 x ${width}, repeated ${rows} times`,
    attributes: { repeat: true },
    inputs: () => ({
      x: { shape: [1, width], data: normal(width, width) },
      weight: { shape: [rows], data: normal(rows + 1, rows), rows: "rows" },
    }),
    tolerance: 2 ** -23,
  };
}

/** Cases of `scale-rows`. */
export const scaleRowsCases: CaseTable = {
  stem: "scale-rows",
  cases: SHAPES.flatMap(([rows, width]) => [
    scaled(rows, width, false),
    scaled(rows, width, true),
    repeated(rows, width),
  ]),
};
