/** @file Suite `kernels`: every variant of the heavy ops on the bench cases of the shared tables, beside the multiply-add peak. */

import { caseTables } from "../../cases/index.ts";
import type { OpCase } from "../../cases/case.ts";
import { Arena } from "../../graph/arena.ts";
import type { Reference } from "../../graph/interpret.ts";
import { Parameters } from "../../graph/parameters.ts";
import { matmul, opsByStem } from "../../ops/index.ts";
import type { Attributes, Cost, Op } from "../../ops/index.ts";
import { references } from "../../reference/index.ts";
import { measure, part, speedUp } from "../harness.ts";
import type { BenchContext, Repeats, Timing } from "../harness.ts";
import { forwardCase } from "../forward-of.ts";
import { kernelCandidates } from "../kernel-run.ts";
import type { BenchRoom, KernelCandidate } from "../kernel-run.ts";
import { peakCase, peakFma, peakReference } from "../peak-fma.ts";
import { atLeast, timingFields } from "../report.ts";
import type { Reach, ReportRow } from "../report.ts";
import { selectionBenchCases } from "../selection-cases.ts";
import type { Suite } from "../suite.ts";

/** Ops of the short suite; `--full` takes every op that has a bench case. */
const HEAVY: ReadonlySet<string> = new Set([
  "matmul",
  "matmul-weight-gradient",
  "layer-norm",
  "attention",
  "adapter",
  "softmax",
  "soft-top-k",
  "top-k",
]);

/** The case that the goals of the matmul are set for. */
const GOAL_CASE = "512x768x3072";
const GOALS = { peak: 0.4, naive: 10, forward: 0.8 };

/** Variants for few rows or odd widths: left out of larger cases than this, except where one is the measure of others. */
const SLOW: ReadonlySet<string> = new Set(["naive", "skinny"]);
const MOST_SLOW_FLOPS = 5e7;

interface Group {
  readonly op: Op<Attributes>;
  readonly reference: Reference;
  readonly opCase: OpCase;
}

function groups(full: boolean): Group[] {
  const tables = [...caseTables, ...selectionBenchCases];
  return tables.flatMap(({ stem, cases }) => {
    if (!full && !HEAVY.has(stem)) return [];
    const op = opsByStem[stem] as Op<Attributes>;
    const reference = references[stem] as Reference;
    return cases.filter(({ bench }) => bench === true).map((opCase) => ({ op, reference, opCase }));
  });
}

/** The suite. */
export const kernelsSuite: Suite = {
  name: "kernels",
  summary: "every variant of the heavy ops: GFLOP/s, GB/s, share of the multiply-add peak, over naive",
  run: async (gpu, { full, rounds = 5 }, context) => {
    const repeats: Repeats = { warmup: 1, rounds };
    const room: BenchRoom = { gpu, arena: new Arena(gpu), parameters: new Parameters(gpu) };
    try {
      const all = groups(full);
      const rows: ReportRow[] = [];
      for (const [index, group] of all.entries()) {
        rows.push(...(await measureGroup(room, group, { full, repeats }, part(context, index, all.length))));
      }
      const notes = [
        "* marks the variant that a plan of this size chooses; bytes count every input and output once.",
        "peak-fma loop: independent multiply-adds in a short loop; straight: 16 steps a turn written out, what the processor can do.",
      ];
      return { rows, notes, settings: { ...repeats, full } };
    } finally {
      await room.arena.dispose();
      room.parameters.dispose();
    }
  },
};

async function measureGroup(
  room: BenchRoom,
  { op, reference, opCase }: Group,
  { full, repeats }: { readonly full: boolean; readonly repeats: Repeats },
  context: BenchContext,
): Promise<ReportRow[]> {
  const goal = op.stem === "matmul" && opCase.name === GOAL_CASE;
  // Of a gradient the short suite times the variant that is chosen, beside the product itself.
  const gradient = forwardCase(op.stem, opCase) !== null;
  const wanted = (variant: string, cost: Cost): boolean =>
    full || (!gradient && (!SLOW.has(variant) || cost.flops < MOST_SLOW_FLOPS)) || (goal && variant === "naive");
  const candidates: KernelCandidate[] = [];
  try {
    context.progress(0, 1, `compiling ${op.stem} ${opCase.name}`);
    candidates.push(...(await kernelCandidates(room, op, reference, opCase, wanted)));
    const peaks =
      op.stem === "matmul"
        ? await kernelCandidates(room, peakFma, peakReference, peakCase(room.gpu.info.software))
        : [];
    const [forward] = await forwardCandidates(room, op.stem, opCase);
    candidates.push(...peaks, ...(forward === undefined ? [] : [forward]));
    // Verification is a run already, and one of `naive` takes seconds here.
    const timings = await measure(candidates, goal ? { ...repeats, warmup: 0 } : repeats, context);
    const timed = { candidates, timings, goal, forward };
    return candidates.map((_, index) => rowOf(index, timed));
  } finally {
    for (const { planned } of candidates) planned.dispose();
  }
}

/** Of a gradient of a product: the product itself, in the variant that is chosen, so that both are timed in turns. */
async function forwardCandidates(room: BenchRoom, stem: string, opCase: OpCase): Promise<KernelCandidate[]> {
  const forward = forwardCase(stem, opCase);
  if (forward === null) return [];
  return kernelCandidates(room, matmul, references.matmul as Reference, forward, () => false);
}

/** What was timed in turns. */
interface TimedGroup {
  readonly candidates: readonly KernelCandidate[];
  readonly timings: readonly Timing[];
  readonly goal: boolean;
  /** The product, where the others are gradients of it. */
  readonly forward: KernelCandidate | undefined;
}

function rowOf(index: number, { candidates: all, timings, goal, forward }: TimedGroup): ReportRow {
  const [candidate, timing] = [all[index] as KernelCandidate, timings[index] as Timing];
  const { flops, bytes } = candidate.cost;
  const rate = (timed: Timing, cost: Cost): number => cost.flops / 1e6 / timed.median;
  const at = (test: (other: KernelCandidate) => boolean): number => all.findIndex(test);
  const isMatmul = candidate.stem === "matmul";
  const share = (variant: string): number | null => {
    const peak = at((other) => other.stem === peakFma.stem && other.variant === variant);
    if (!isMatmul || peak < 0) return null;
    return rate(timing, candidate.cost) / rate(timings[peak] as Timing, (all[peak] as KernelCandidate).cost);
  };
  const naive = at((other) => other.variant === "naive" && other.case === candidate.case);
  const overNaive = isMatmul && naive >= 0 ? speedUp(timings[naive] as Timing, timing) : null;
  const [ofLoop, ofStraight] = [share("loop"), share("straight")];
  const gradient = forward !== undefined && candidate !== forward && candidate.stem !== peakFma.stem;
  const ofForward = gradient ? speedUp(timings[all.indexOf(forward)] as Timing, timing) : null;
  const reaches: Reach[] = [];
  if (ofForward !== null && candidate.chosen) {
    reaches.push(atLeast("of the forward product's rate", GOALS.forward, ofForward));
  }
  if (goal && candidate.chosen && isMatmul) {
    reaches.push(
      atLeast("share of the loop peak", GOALS.peak, ofLoop ?? NaN),
      atLeast("share of the straight-line peak", GOALS.peak, ofStraight ?? NaN),
      atLeast("over naive", GOALS.naive, overNaive ?? NaN),
    );
  }
  return {
    suite: "kernels",
    name: `${candidate.stem} ${candidate.case}`,
    cells: {
      variant: `${candidate.variant}${candidate.chosen ? " *" : ""}`,
      "GFLOP/s": flops / 1e6 / timing.median,
      ...(candidate.stem === peakFma.stem ? {} : { "GB/s": bytes / 1e6 / timing.median }),
      ...(ofLoop === null ? {} : { "of loop peak": ofLoop }),
      ...(ofStraight === null ? {} : { "of straight peak": ofStraight }),
      ...(overNaive === null ? {} : { "over naive": overNaive }),
      ...(ofForward === null ? {} : { "of forward": ofForward }),
    },
    ...timingFields(timing),
    ...(reaches.length === 0 ? {} : { reaches }),
  };
}
