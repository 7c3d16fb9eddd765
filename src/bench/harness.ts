/**
 * @file The one way in which anything here is timed: verify first, warm up, then run the candidates in turns
 * (A B C A B C …), so that ratios come from one run. What fails verification is not timed and fails the bench.
 */

import type { Comparison } from "../cases/check.ts";
import { median, pairedRatio, quantile } from "./statistics.ts";

/** Something to time. */
export interface Candidate {
  readonly name: string;
  /** Runs it once and compares the result with the truth; `say` tells what takes so long. */
  readonly verify: (say: (doing: string) => void) => Promise<Comparison>;
  /** Runs it once. @returns milliseconds: GPU time where the device has a clock, else wall time. */
  readonly run: () => Promise<number>;
}

/** How often things are run. */
export interface Repeats {
  /** Untimed runs of every candidate after verification. */
  readonly warmup: number;
  readonly rounds: number;
}

/** Says how far a bench is: steps done and in all, and what it is doing. */
export type Progress = (done: number, total: number, doing: string) => void;

/** What a bench needs from its surroundings besides a GPU. */
export interface BenchContext {
  readonly progress: Progress;
  /** Aborts between two runs. */
  readonly signal?: AbortSignal;
}

/** @returns a context whose progress is the `index`-th of `count` parts of the whole. */
export function part(context: BenchContext, index: number, count: number): BenchContext {
  const progress: Progress = (done, total, doing) => context.progress(index * total + done, count * total, doing);
  return { ...context, progress };
}

/** The measurements of one candidate; without samples when it failed verification. */
export interface Timing {
  readonly name: string;
  readonly verdict: Comparison;
  /** Milliseconds, one per round. */
  readonly samples: readonly number[];
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
}

/** Verifies all candidates, then times those that passed, in turns. */
export async function measure(
  candidates: readonly Candidate[],
  repeats: Repeats,
  context: BenchContext,
): Promise<Timing[]> {
  const turns = repeats.warmup + repeats.rounds;
  const total = candidates.length * (1 + turns);
  let done = 0;
  const step = (doing: string): void => {
    context.signal?.throwIfAborted();
    context.progress(done, total, doing);
    done += 1;
  };
  const verdicts: Comparison[] = [];
  for (const candidate of candidates) {
    step(`verifying ${candidate.name}`);
    verdicts.push(
      await candidate.verify((doing) => context.progress(done, total, `verifying ${candidate.name}: ${doing}`)),
    );
  }
  const samples: number[][] = candidates.map(() => []);
  for (let turn = 0; turn < turns; turn += 1) {
    const doing = turn < repeats.warmup ? "warming up" : `round ${turn - repeats.warmup + 1} of ${repeats.rounds}`;
    for (const [index, candidate] of candidates.entries()) {
      step(`${doing}: ${candidate.name}`);
      if (verdicts[index]?.ok !== true) continue;
      const milliseconds = await candidate.run();
      if (turn >= repeats.warmup) samples[index]?.push(milliseconds);
    }
  }
  context.progress(total, total, "measured");
  return candidates.map(({ name }, index) => timing(name, verdicts[index] as Comparison, samples[index] as number[]));
}

function timing(name: string, verdict: Comparison, samples: readonly number[]): Timing {
  return { name, verdict, samples, median: median(samples), p10: quantile(samples, 0.1), p90: quantile(samples, 0.9) };
}

/** How many times faster `candidate` is than `base`. */
export function speedUp(base: Timing, candidate: Timing): number {
  return pairedRatio(base.samples, candidate.samples);
}
