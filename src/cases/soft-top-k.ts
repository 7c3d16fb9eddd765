/** @file Cases of soft top-k: both modes on the shared batches, and the published settings. */

import type { CaseTable, OpCase } from "./case.ts";
import { blockBatches, longSegment, scoredBatches, selectionInputs } from "./selection.ts";
import type { ScoredBatch } from "./selection.ts";

const EPSILON_F32 = 2 ** -24;
const ITERATIONS = 20;

/** The ε of every iteration. */
function epsilons(epsilon: number, start: number, decay: number): number[] {
  const all: number[] = [];
  for (
    let t = 0, current = Math.max(start, epsilon);
    t < ITERATIONS;
    t += 1, current = Math.max(decay * current, epsilon)
  )
    all.push(current);
  return all;
}

/**
 * Roundings in a sum of n positive terms by at least 16 lanes: √(n / 16) in a lane, independent between lanes; ln, the
 * threshold and the exponential add a few.
 */
export function sumError(n: number): number {
  return (4 + Math.sqrt(n) / 16) * EPSILON_F32;
}

/** Of a weight, the largest being about 1: the solver stops at 1e-6, and thresholds reach ln n <= 11.1 units of ε. */
export function exactTolerance(n: number): number {
  return 1e-6 + 11 * EPSILON_F32 + sumError(n);
}

/**
 * An error δ of iteration t moves the threshold by ε_t δ, later iterations never enlarge it (dθ_t / dθ_{t-1} is the
 * saturated share), and the weight divides it by the final ε. Iterations err independently: the root of the squares.
 */
export function paperTolerance(n: number, epsilon: number, start: number, decay: number): number {
  return sumError(n) * Math.hypot(...epsilons(epsilon, start, decay).map((current) => current / epsilon));
}

function exact(batch: ScoredBatch, epsilon: number): OpCase {
  const longest = Math.max(...batch.segments().map(({ scores }) => scores.length));
  return {
    name: `exact, ε ${epsilon}, ${batch.name}`,
    attributes: { mode: "exact", epsilon },
    inputs: () => selectionInputs(batch.segments()),
    tolerance: exactTolerance(longest),
  };
}

function paper(batch: ScoredBatch, epsilon: number, epsilonStart: number, start?: "minus-scores"): OpCase {
  const longest = Math.max(...batch.segments().map(({ scores }) => scores.length));
  return {
    name: `paper, ε ${epsilonStart} to ${epsilon},${start === undefined ? "" : ` start ${start},`} ${batch.name}`,
    attributes: { mode: "paper", epsilon, iterations: ITERATIONS, epsilonStart, epsilonDecay: 0.7, start },
    inputs: () => selectionInputs(batch.segments()),
    tolerance: paperTolerance(longest, epsilon, epsilonStart, 0.7),
  };
}

const [, blocks] = blockBatches as readonly [ScoredBatch, ScoredBatch];
const [first, , several, tiles, extremes] = scoredBatches as readonly ScoredBatch[];
const chosen = [first, several, tiles, extremes] as readonly ScoredBatch[];

/** Cases of soft top-k. */
export const softTopKCases: CaseTable = {
  stem: "soft-top-k",
  cases: [
    ...scoredBatches.flatMap((batch) => [exact(batch, 0.03), paper(batch, 0.03, 4)]),
    ...chosen.flatMap((batch) => [
      exact(batch, 0.01),
      exact(batch, 10),
      paper(batch, 1, 4),
      paper(batch, 0.1, 0),
      paper(batch, 10, 4),
    ]),
    ...[longSegment, ...blockBatches].flatMap((batch) => [exact(batch, 0.01), paper(batch, 0.03, 4)]),
    paper(tiles as ScoredBatch, 0.1, 0, "minus-scores"),
    paper(blocks, 0.1, 4, "minus-scores"),
  ],
};
