/** @file Cases of join-rows: values are copied, so they are exact. */

import { fromB } from "../ops/join-rows.ts";
import { generator, normal } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

interface Setting {
  /** Rows of a and of b, rows of the result. */
  readonly a: number;
  readonly b: number;
  readonly rows: number;
  readonly width: number;
  /** Columns before and after the copied ones in a row of a, and of b. */
  readonly aSides?: readonly [before: number, after: number];
  readonly bSides?: readonly [before: number, after: number];
  /** b as a parameter has it: its number of rows is known before the run. */
  readonly fixedB?: boolean;
}

const settings: readonly Setting[] = [
  { a: 1, b: 1, rows: 1, width: 1 },
  { a: 5, b: 2, rows: 3, width: 3 },
  { a: 7, b: 4, rows: 17, width: 4 },
  { a: 65, b: 64, rows: 64, width: 5 },
  { a: 10, b: 3, rows: 0, width: 8 },
  { a: 0, b: 9, rows: 17, width: 8 },
  { a: 9, b: 0, rows: 17, width: 8 },
  { a: 0, b: 0, rows: 5, width: 3 },
  { a: 33, b: 3, rows: 65, width: 255, fixedB: true },
  { a: 12, b: 30, rows: 19, width: 260, fixedB: true },
  { a: 9, b: 2, rows: 24, width: 768, aSides: [768, 768], bSides: [0, 0] },
  { a: 9, b: 8, rows: 24, width: 16, aSides: [4, 0], bSides: [32, 4] },
  // Rows in fours, from a column or a width that is not: no vectors.
  { a: 9, b: 8, rows: 24, width: 16, aSides: [2, 2] },
  { a: 9, b: 8, rows: 24, width: 16, bSides: [0, 3] },
  { a: 9, b: 8, rows: 24, width: 7, aSides: [7, 7], bSides: [1, 0] },
  // More rows than one dimension of a grid holds.
  { a: 50, b: 7, rows: 65_537, width: 1 },
];

/** Columns that are not copied are NaN. */
function sourceOf(seed: number, rows: number, width: number, [before, after]: readonly [number, number]): CaseTensor {
  const columns = before + width + after;
  const data = normal(seed, rows * columns);
  return {
    shape: [rows, columns],
    data: data.map((value, i) => {
      const column = i % columns;
      return column >= before && column < before + width ? value : NaN;
    }),
  };
}

/** Rows of a and b in turn; every seventh entry points just past the end of its source, the two after it far beyond. */
function entriesOf({ a, b, rows }: Setting): Uint32Array {
  const uniform = generator(a * 31 + rows);
  return Uint32Array.from({ length: rows }, (_, r) => {
    const [sources, bit] = uniform() < 0.5 ? [a, 0] : [b, fromB];
    if (r % 7 === 3) return bit + sources;
    if (r % 7 === 4) return bit + 0x7fffffff;
    // Every bit but the highest belongs to the index.
    if (r % 7 === 5) return bit + 0x40000000;
    return bit + Math.floor(uniform() * sources);
  });
}

function caseOf(setting: Setting): OpCase {
  const { a, b, rows, width, aSides = [0, 0], bSides = [0, 0], fixedB = false } = setting;
  const sides = `${aSides.join(" ")} | ${bSides.join(" ")}`;
  return {
    name: `${rows} of ${a} and ${b} x ${width}, sides ${sides}${fixedB ? ", fixed b" : ""}`,
    attributes: { width, aAt: aSides[0], bAt: bSides[0] },
    inputs: () => ({
      a: { ...sourceOf(width, a, width, aSides), rows: "a_rows" },
      b: { ...sourceOf(width + 1, b, width, bSides), ...(fixedB ? {} : { rows: "b_rows" }) },
      rows: { shape: [rows], data: entriesOf(setting), rows: "rows" },
    }),
    tolerance: 0,
    exact: ["y"],
  };
}

/** Sources of every size, columns at every place. */
export const joinRowsCases: CaseTable = { stem: "join-rows", cases: settings.map(caseOf) };
