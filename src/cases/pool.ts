/** @file Cases of pool. */

import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";
import { segmentTable } from "./segment-tables.ts";

const SHAPES: readonly (readonly [lengths: readonly number[], width: number])[] = [
  [[1], 1],
  [[3, 1, 5], 3],
  [[0, 4, 0, 0, 7, 0], 8],
  [[64, 65, 63], 5],
  [Array.from({ length: 70 }, (_, i) => i % 4), 260],
  [[257, 2], 257],
  [[1000], 768],
  [[], 4],
  // More segments than one dimension of a grid holds.
  [Array.from({ length: 65_600 }, (_, i) => i % 3), 1],
];

function pooled(mode: string, lengths: readonly number[], width: number): OpCase {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const longest = Math.max(1, ...lengths);
  const name = lengths.length > 8 ? `${lengths.length} segments` : `lengths ${lengths.join(" ")}`;
  return {
    name: `${mode}, ${name} x ${width}`,
    attributes: { mode, count: "segments" },
    // A mean well away from zero, so that a wrong divisor or a missing row shows.
    inputs: () => ({ x: matrix(normal(width, rows * width, 1, 2), width), segments: segmentTable(lengths) }),
    sizes: { segments: lengths.length },
    tolerance: mode === "mean" ? toleranceFor(longest) : 0,
  };
}

/** Cases of pool. */
export const poolCases: CaseTable = {
  stem: "pool",
  cases: SHAPES.flatMap(([lengths, width]) => ["first", "mean", "last"].map((mode) => pooled(mode, lengths, width))),
};
