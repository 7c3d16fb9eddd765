/** @file Cases of `fill`. */

import type { CaseTable, OpCase } from "./case.ts";

const filled = (rows: number, value: number): OpCase => ({
  name: `${rows} values of ${value}`,
  attributes: { value },
  inputs: () => ({ x: { shape: [rows], data: new Float32Array(rows), rows: "rows" } }),
  tolerance: 0,
});

const perRow = (rows: number): OpCase => ({
  name: `a value for each of ${rows} rows of 5`,
  attributes: { value: 2, axes: 1 },
  inputs: () => ({ x: { shape: [rows, 5], data: new Float32Array(rows * 5), rows: "rows" } }),
  tolerance: 0,
});

const perRows = (rows: number, columns: number): OpCase => ({
  name: `${columns} values for each of ${rows} rows of 5`,
  attributes: { value: 1, axes: 1, columns },
  inputs: () => ({ x: { shape: [rows, 5], data: new Float32Array(rows * 5), rows: "rows" } }),
  tolerance: 0,
});

// One dimension of a grid holds 65,535 workgroups of 64 values: from here on it is folded into a second one.
const FOLDED = 65535 * 64 + 65;

/** Lengths around a workgroup and past one grid dimension; constants that f32 holds exactly. */
export const fillCases: CaseTable = {
  stem: "fill",
  cases: [
    filled(0, 1),
    filled(1, 1),
    filled(63, -2.5),
    filled(65, 0),
    filled(1000, 0.125),
    filled(FOLDED, 3),
    perRow(0),
    perRow(70),
    perRows(0, 3),
    perRows(41, 3),
  ],
};
