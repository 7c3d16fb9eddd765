/** @file Cases of `pool-gradient`: segments of every length, empty ones among them. */

import { matrix } from "./case-tensors.ts";
import { normal } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";
import { segmentTable } from "./segment-tables.ts";

const SHAPES: readonly (readonly [lengths: readonly number[], width: number])[] = [
  [[1], 1],
  [[3, 1, 5], 3],
  [[0, 4, 0, 0, 7, 0], 8],
  [[64, 65, 63], 5],
  [Array.from({ length: 70 }, (_, i) => i % 4), 260],
  [[100], 768],
  [[], 4],
  [[0, 0], 4],
  // More rows than one dimension of a grid holds.
  [[65_537, 3], 1],
];

function pooled(mode: string, lengths: readonly number[], width: number): OpCase {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const name = lengths.length > 8 ? `${lengths.length} segments` : `lengths ${lengths.join(" ")}`;
  return {
    name: `${mode}, ${name} x ${width}`,
    attributes: { mode, count: "segments" },
    inputs: () => ({
      x: matrix(new Float32Array(rows * width), width),
      segments: segmentTable(lengths),
      dy: matrix(normal(width, lengths.length * width), width, "segments"),
    }),
    sizes: { segments: lengths.length },
    // One division at most.
    tolerance: 4 * 2 ** -24,
  };
}

/** Every mode on every table. */
export const poolGradientCases: CaseTable = {
  stem: "pool-gradient",
  cases: SHAPES.flatMap(([lengths, width]) => ["first", "mean", "last"].map((mode) => pooled(mode, lengths, width))),
};
