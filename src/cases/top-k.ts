/** @file Cases of top-k: indices are exact. */

import type { CaseTable, OpCase } from "./case.ts";
import { blockBatches, longSegment, scoredBatches, selectedCount, selectionInputs, tiedBatches } from "./selection.ts";
import type { ScoredBatch } from "./selection.ts";

function topKCase(batch: ScoredBatch): OpCase {
  return {
    name: batch.name,
    attributes: { count: "selected" },
    inputs: () => selectionInputs(batch.segments()),
    sizes: { selected: selectedCount(batch.segments()) },
    tolerance: 0,
    exact: ["rows", "positions", "invalid"],
  };
}

/** Cases of top-k. */
export const topKCases: CaseTable = {
  stem: "top-k",
  cases: [...scoredBatches, ...tiedBatches, longSegment, ...blockBatches].map(topKCase),
};
