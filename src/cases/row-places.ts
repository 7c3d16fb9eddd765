/** @file Cases of `row-places`: exact. */

import type { CaseTable, OpCase } from "./case.ts";

function placed(name: string, segments: readonly number[], rows: readonly number[]): OpCase {
  return {
    name,
    attributes: {},
    inputs: () => ({
      rows: { shape: [rows.length], data: Uint32Array.from(rows), rows: "selected" },
      segments: { shape: [segments.length], data: Uint32Array.from(segments), rows: "offsets" },
    }),
    tolerance: 0,
    exact: ["y"],
  };
}

/** No rows, empty segments on both sides, first and last rows, rows that stand for nothing. */
export const rowPlacesCases: CaseTable = {
  stem: "row-places",
  cases: [
    placed("no rows", [0, 4], []),
    placed("one segment", [0, 5], [0, 3, 4]),
    placed("empty segments", [0, 0, 3, 3, 3, 7, 7], [0, 2, 3, 6]),
    placed("past the end", [0, 2, 4], [1, 2, 4, 0xffffffff]),
    placed(
      "many",
      Array.from({ length: 200 }, (_, s) => s * 3),
      Array.from({ length: 597 }, (_, row) => row),
    ),
  ],
};
