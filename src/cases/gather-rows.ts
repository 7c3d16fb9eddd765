/** @file Cases of gather-rows: values are copied, so they are exact. */

import { matrix, vector } from "./case-tensors.ts";
import { generator, normal } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";

const NONE = 0xffffffff;

const SHAPES: readonly (readonly [sources: number, rows: number, width: number])[] = [
  [1, 1, 1],
  [5, 3, 3],
  [7, 17, 4],
  [65, 64, 5],
  [10, 0, 8],
  [33, 65, 255],
  [12, 9, 256],
  [12, 9, 260],
  [9, 4, 768],
  // More rows than one dimension of a grid holds.
  [50, 65_537, 1],
];

function indices(sources: number, rows: number): Uint32Array {
  const uniform = generator(sources * 31 + rows);
  // Every fifth index points nowhere, and the next one just past the end.
  return Uint32Array.from({ length: rows }, (_, r) =>
    r % 5 === 3 ? NONE : r % 5 === 4 ? sources : Math.floor(uniform() * sources),
  );
}

function gather(sources: number, rows: number, width: number, fill: boolean): OpCase {
  return {
    name: `${rows} of ${sources} x ${width}${fill ? ", fill" : ""}`,
    attributes: {},
    inputs: () => ({
      x: matrix(normal(width, sources * width), width, "sources"),
      rows: { shape: [rows], data: indices(sources, rows), rows: "rows" },
      ...(fill ? { fill: vector(normal(7, width)) } : {}),
    }),
    tolerance: 0,
    exact: ["y"],
  };
}

/** Whole numbers whose bits are, as f32, denormals, NaN and infinities: a copy through f32 could change them. */
function gatherNumbers(sources: number, rows: number): OpCase {
  const numbers = (): Uint32Array =>
    Uint32Array.from(
      { length: sources },
      (_, i) => [i, 0x7f800000 + i, 0xffffffff - i, 0x80000000 + i][i % 4] as number,
    );
  return {
    name: `${rows} of ${sources} whole numbers`,
    attributes: {},
    inputs: () => ({
      x: { shape: [sources], data: numbers(), rows: "sources" },
      rows: { shape: [rows], data: indices(sources, rows), rows: "rows" },
    }),
    tolerance: 0,
    exact: ["y"],
  };
}

/** Cases of gather-rows. */
export const gatherRowsCases: CaseTable = {
  stem: "gather-rows",
  cases: [
    ...SHAPES.flatMap((shape) => [gather(...shape, false), gather(...shape, true)]),
    ...(
      [
        [1, 1],
        [13, 40],
        [0, 5],
        [9, 0],
      ] as const
    ).map(([sources, rows]) => gatherNumbers(sources, rows)),
  ],
};
