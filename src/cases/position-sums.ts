/** @file Cases of `position-sums`: tables longer and shorter than the segments, and offsets. */

import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";
import { segmentTable } from "./segment-tables.ts";

interface Setting {
  readonly lengths: readonly number[];
  readonly width: number;
  readonly positions: number;
  readonly positionOffset?: number;
}

const SETTINGS: readonly Setting[] = [
  { lengths: [1], width: 1, positions: 1 },
  { lengths: [], width: 4, positions: 5 },
  { lengths: [0, 0], width: 4, positions: 3 },
  { lengths: [5, 0, 2, 64], width: 3, positions: 64 },
  { lengths: [0, 65, 1, 0], width: 8, positions: 70, positionOffset: 2 },
  // Rows past the table go nowhere.
  { lengths: [17, 9], width: 257, positions: 12, positionOffset: 2 },
  { lengths: [3, 4], width: 768, positions: 2 },
  { lengths: Array.from({ length: 90 }, (_, i) => i % 5), width: 4, positions: 6 },
  { lengths: [2, 1], width: 4, positions: 0 },
  { lengths: [2, 1], width: 4, positions: 3, positionOffset: 9 },
];

function caseOf({ lengths, width, positions, positionOffset }: Setting): OpCase {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const name = lengths.length > 8 ? `${lengths.length} segments` : `lengths ${lengths.join(" ")}`;
  return {
    name: `${name} x ${width} to ${positions} from ${positionOffset ?? 0}`,
    attributes: { positions, positionOffset },
    inputs: () => ({ x: matrix(normal(rows + width, rows * width), width), segments: segmentTable(lengths) }),
    tolerance: toleranceFor(lengths.length),
  };
}

/** Shapes and offsets. */
export const positionSumsCases: CaseTable = { stem: "position-sums", cases: SETTINGS.map(caseOf) };
