/** @file Cases of `count-below`: exact. */

import { generator } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";

function counted(name: string, sorted: readonly number[], bounds: readonly number[]): OpCase {
  return {
    name,
    attributes: {},
    inputs: () => ({
      sorted: { shape: [sorted.length], data: Uint32Array.from(sorted), rows: "rows" },
      bounds: { shape: [bounds.length], data: Uint32Array.from(bounds), rows: "bounds" },
    }),
    tolerance: 0,
    exact: ["y"],
  };
}

function random(count: number, below: number): number[] {
  const uniform = generator(count);
  return Array.from({ length: count }, () => Math.floor(uniform() * below)).sort((a, b) => a - b);
}

/** Empty lists, bounds at both ends and between, entries that stand for nothing at the end. */
export const countBelowCases: CaseTable = {
  stem: "count-below",
  cases: [
    counted("nothing sorted", [], [0, 1, 7]),
    counted("no bounds", [1, 2], []),
    counted("one", [5], [0, 5, 6]),
    counted("ties", [1, 1, 1, 4, 4], [0, 1, 2, 4, 5, 0xffffffff]),
    counted("sentinels", [0, 3, 0xffffffff, 0xffffffff], [0, 3, 4, 0xffffffff]),
    counted("1000 of 3000, 200 bounds", random(1000, 3000), random(200, 3100)),
  ],
};
