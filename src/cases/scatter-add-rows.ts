/** @file Cases of scatter-add-rows. */

import { distinctRows, matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

const SHAPES: readonly (readonly [targets: number, rows: number, width: number])[] = [
  [1, 1, 1],
  [5, 3, 3],
  [17, 17, 4],
  [65, 64, 5],
  [10, 0, 8],
  [0, 0, 8],
  [33, 20, 257],
  [9, 4, 768],
];

function scatter(targets: number, rows: number, width: number, weighted: boolean, skipped = false): OpCase {
  const indices = (): CaseTensor => {
    const tensor = distinctRows(rows, rows, targets, "rows");
    if (skipped) tensor.data[rows >> 1] = 0xffffffff;
    return tensor;
  };
  return {
    name: `${rows} onto ${targets} x ${width}${weighted ? ", weighted" : ""}${skipped ? ", one skipped" : ""}`,
    attributes: {},
    inputs: () => ({
      base: matrix(normal(width, targets * width), width, "targets"),
      x: matrix(normal(width + 1, rows * width), width),
      rows: indices(),
      ...(weighted ? { weight: { shape: [targets], data: normal(3, targets), rows: "targets" } } : {}),
    }),
    tolerance: toleranceFor(1),
  };
}

/** Cases of scatter-add-rows. */
export const scatterAddRowsCases: CaseTable = {
  stem: "scatter-add-rows",
  cases: [
    ...SHAPES.flatMap((shape) => [scatter(...shape, false), scatter(...shape, true)]),
    scatter(20, 9, 12, true, true),
  ],
};
