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

function gather(sources: number, rows: number, width: number, fill: boolean): OpCase {
  const indices = (): Uint32Array => {
    const uniform = generator(sources * 31 + rows);
    // Every fifth index points nowhere, and the next one just past the end.
    return Uint32Array.from({ length: rows }, (_, r) =>
      r % 5 === 3 ? NONE : r % 5 === 4 ? sources : Math.floor(uniform() * sources),
    );
  };
  return {
    name: `${rows} of ${sources} x ${width}${fill ? ", fill" : ""}`,
    attributes: {},
    inputs: () => ({
      x: matrix(normal(width, sources * width), width, "sources"),
      rows: { shape: [rows], data: indices(), rows: "rows" },
      ...(fill ? { fill: vector(normal(7, width)) } : {}),
    }),
    tolerance: 0,
    exact: ["y"],
  };
}

/** Cases of gather-rows. */
export const gatherRowsCases: CaseTable = {
  stem: "gather-rows",
  cases: SHAPES.flatMap((shape) => [gather(...shape, false), gather(...shape, true)]),
};
