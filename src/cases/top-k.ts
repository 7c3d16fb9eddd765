/** @file Cases of top-k: indices are exact. */

import { generator } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";
import { longSegment, scoredBatches, selectedCount, selectionInputs } from "./selection.ts";
import type { ScoredBatch } from "./selection.ts";

function topKCase(batch: ScoredBatch): OpCase {
  return {
    name: batch.name,
    attributes: { count: "selected" },
    inputs: () => selectionInputs(batch.segments()),
    sizes: { selected: selectedCount(batch.segments()) },
    tolerance: 0,
    exact: ["rows", "positions"],
  };
}

/** 200 segments of scores of few values, infinities among them: nearly every boundary is a tie. */
const ties: ScoredBatch = {
  name: "ties everywhere",
  segments: () => {
    const uniform = generator(200);
    const values = [-Infinity, -3.5, -0, 0, 1e-42, 2, 2 + 2 ** -22, 3e38, Infinity];
    return Array.from({ length: 200 }, () => {
      const scores = Float32Array.from(
        { length: Math.floor(uniform() * 90) },
        () => values[Math.floor(uniform() * 9)] as number,
      );
      return { scores, k: Math.floor(uniform() * (scores.length + 1)) };
    });
  },
};

/** Cases of top-k. */
export const topKCases: CaseTable = { stem: "top-k", cases: [...scoredBatches, ties, longSegment].map(topKCase) };
