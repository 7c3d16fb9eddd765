/** @file Cases of the gradient of soft top-k: both modes on the shared batches, with normal gradients of the weights. */

import { softTopK } from "../reference/soft-top-k.ts";
import { normal } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { referenceInputs } from "./check.ts";
import { longSegment, scoredBatches, selectionInputs } from "./selection.ts";
import type { ScoredBatch } from "./selection.ts";
import { paperTolerance, sumError } from "./soft-top-k.ts";

/**
 * An error of a weight or of a mean gradient enters a score's gradient times |g| / ε, against a largest w |g - ḡ| / ε: among the
 * open weights of every case is one of a quarter whose gradient is not the mean.
 */
const CONDITION = 4;

interface Setting {
  readonly mode: "paper" | "exact";
  readonly epsilon: number;
  readonly epsilonStart: number;
  readonly start?: "minus-scores";
}

/** The inputs of a call; weights are those of the float64 forward pass, rounded. */
export function gradientInputs(
  scored: Record<string, CaseTensor>,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, CaseTensor> {
  const rows = scored.scores?.shape ?? [];
  const gradient: CaseTensor = { shape: rows, data: normal(99, rows[0] as number), rows: "rows" };
  if (attributes.mode === "paper") return { ...scored, gradient };
  const weights = softTopK(referenceInputs(scored), attributes).weights?.data as Float64Array;
  return { ...scored, gradient, weights: { shape: rows, data: Float32Array.from(weights), rows: "rows" } };
}

function gradientCase(batch: ScoredBatch, { mode, epsilon, epsilonStart, start }: Setting): OpCase {
  const longest = Math.max(...batch.segments().map(({ scores }) => scores.length));
  const attributes = { mode, epsilon, epsilonStart, start };
  const error = mode === "exact" ? sumError(longest) : paperTolerance(longest, epsilon, epsilonStart, 0.7);
  return {
    name: `${mode}, ε ${mode === "exact" ? "" : `${epsilonStart} to `}${epsilon}${start === undefined ? "" : `, start ${start}`}, ${batch.name}`,
    attributes,
    inputs: () => gradientInputs(selectionInputs(batch.segments()), attributes),
    tolerance: CONDITION * error,
  };
}

const settings: readonly Setting[] = [
  { mode: "exact", epsilon: 0.1, epsilonStart: 4 },
  { mode: "exact", epsilon: 10, epsilonStart: 4 },
  { mode: "paper", epsilon: 0.1, epsilonStart: 4 },
  { mode: "paper", epsilon: 1, epsilonStart: 0 },
  { mode: "paper", epsilon: 10, epsilonStart: 4, start: "minus-scores" },
];

/** Cases of the gradient of soft top-k. */
export const softTopKGradientCases: CaseTable = {
  stem: "soft-top-k-gradient",
  cases: [
    ...scoredBatches.flatMap((batch) => settings.map((setting) => gradientCase(batch, setting))),
    gradientCase(longSegment, { mode: "exact", epsilon: 0.03, epsilonStart: 4 }),
    gradientCase(longSegment, { mode: "paper", epsilon: 1, epsilonStart: 4 }),
  ],
};
