/** @file Cases of the selection ops at the sizes that routed layers have: one long sequence, and a batch of short ones. */

import type { CaseTable, OpCase } from "../cases/case.ts";
import { normal } from "../cases/case.ts";
import { selectedCount as countOf, selectionInputs } from "../cases/selection.ts";
import type { ScoredSegment } from "../cases/selection.ts";
import { coda } from "../routing/coda.ts";
import { selectedCount } from "../routing/selection.ts";
import { lambdaTolerance } from "./checked-choices.ts";

const policy = coda({ reduction: 3 });
const batches: readonly (readonly number[])[] = [[512], [64, 64, 64, 64, 64, 64, 64, 64], [16_384]];

function segments(lengths: readonly number[]): ScoredSegment[] {
  return lengths.map((length, index) => ({ scores: normal(index + 1, length), k: selectedCount(length, 3) }));
}

function caseOf(lengths: readonly number[], more: Omit<OpCase, "name" | "inputs" | "bench">): OpCase {
  const name = `${lengths.length} of ${lengths[0]}, r = 3`;
  return { ...more, name, inputs: () => selectionInputs(segments(lengths)), bench: true };
}

const { softTopK: mode, epsilon, iterations, epsilonStart, epsilonDecay } = policy;

/** Bench cases of `soft-top-k` and `top-k`. */
export const selectionBenchCases: readonly CaseTable[] = [
  {
    stem: "soft-top-k",
    cases: batches.map((lengths) => {
      const attributes = { mode, epsilon, iterations, epsilonStart, epsilonDecay };
      return caseOf(lengths, { attributes, tolerance: lambdaTolerance(policy, lengths) });
    }),
  },
  {
    stem: "top-k",
    cases: batches.map((lengths) => {
      const sizes = { selected: countOf(segments(lengths)) };
      return caseOf(lengths, { attributes: { count: "selected" }, tolerance: 0, exact: ["rows", "positions"], sizes });
    }),
  },
];
