/**
 * @file Suite `training`: steps of full fine-tuning, adapters, AdapterFusion and CoDA on layers of BERT-base, against one another and
 * against the ratios that their FLOPs give; what a dropped layer saves; bytes of a step.
 */

import type { Explanation } from "../../graph/explain.ts";
import { measure } from "../harness.ts";
import type { BenchContext, Timing } from "../harness.ts";
import { atLeast, atMost, timingFields } from "../report.ts";
import type { Reach, ReportRow } from "../report.ts";
import { pairedRatio } from "../statistics.ts";
import type { Suite } from "../suite.ts";
import { trainingForms } from "../training-forms.ts";
import type { TrainingFormName, TrainingSizes } from "../training-forms.ts";
import { TrainingRun } from "../training-run.ts";

/** Ratios that AdapterDrop publishes for length 128 and batch 16 on a V100 (arXiv 2010.11918, tables 1 and 3). */
const PUBLISHED: Readonly<Record<string, number>> = { pfeiffer: 1.57, houlsby: 1.48, fusion: 0.53 };
const OF_FLOP_RATIO = 0.95;
const OF_LAYER = 0.95;
const FUSION_OVER_FULL = 0.9;
const ROUTED_OVER_DENSE = 1.9;
const MOST_BYTES = 0.6;

const SMALL: TrainingSizes = { layers: 2, sequences: 4, tokens: 128, fused: 8 };
const WHOLE: TrainingSizes = { layers: 12, sequences: 16, tokens: 128, fused: 8 };

interface Measured {
  readonly timing: Timing;
  readonly explained: Explanation;
  readonly bytes: number;
}

/** The suite. */
export const trainingSuite: Suite = {
  name: "training",
  summary: "training steps: adapters, fusion, CoDA and dropped layers against full fine-tuning (d 768)",
  run: async (gpu, { full, rounds = 7 }, context) => {
    const sizes = full ? WHOLE : SMALL;
    const repeats = { warmup: 1, rounds };
    const runs = new Map<TrainingFormName, TrainingRun>();
    try {
      const names = Object.keys(trainingForms) as TrainingFormName[];
      for (const [index, name] of names.entries()) {
        context.signal?.throwIfAborted();
        context.progress(index, names.length, `preparing and checking ${trainingForms[name].name}`);
        runs.set(name, await TrainingRun.create(gpu, trainingForms[name], sizes));
      }
      const measured = await measureAll(runs, repeats, context);
      const share = await layerShare(runs.get("pfeiffer") as TrainingRun, sizes);
      return { rows: rowsOf(measured, share), notes: notesOf(sizes, share), settings: { ...sizes, ...repeats } };
    } finally {
      for (const run of runs.values()) await run.dispose();
    }
  },
};

async function measureAll(
  runs: ReadonlyMap<TrainingFormName, TrainingRun>,
  repeats: { readonly warmup: number; readonly rounds: number },
  context: BenchContext,
): Promise<ReadonlyMap<TrainingFormName, Measured>> {
  const timings = await measure([...runs.values()], repeats, context);
  const measured = new Map<TrainingFormName, Measured>();
  for (const [index, [name, run]] of [...runs].entries())
    measured.set(name, { timing: timings[index] as Timing, explained: await run.explain(), bytes: run.bytes });
  return measured;
}

/** The backward pass of the highest layer over the whole step, by the GPU's clock; null where it has none. */
async function layerShare(run: TrainingRun, { layers }: TrainingSizes): Promise<number | null> {
  const launches = await run.profile();
  const own = launches.filter(({ scope }) => `${scope}.`.startsWith(`backward.layers.${layers - 1}.`));
  const sum = (of: typeof launches): number => of.reduce((total, { milliseconds }) => total + milliseconds, 0);
  return launches.length === 0 ? null : sum(own) / sum(launches);
}

/** Steps per time of one form over those of another. */
function throughput(
  measured: ReadonlyMap<TrainingFormName, Measured>,
  name: TrainingFormName,
  base: TrainingFormName,
): number {
  const [own, other] = [measured.get(name) as Measured, measured.get(base) as Measured];
  return pairedRatio(other.timing.samples, own.timing.samples);
}

function reachesOf(
  measured: ReadonlyMap<TrainingFormName, Measured>,
  name: TrainingFormName,
  share: number | null,
): Reach[] {
  const of = (form: TrainingFormName): Measured => measured.get(form) as Measured;
  const own = of(name);
  if (own.timing.samples.length === 0) return [];
  const rate = throughput(measured, name, "full");
  const ratio = of("full").explained.flops / own.explained.flops;
  const reaches: Reach[] = [];
  if (name === "pfeiffer" || name === "houlsby")
    reaches.push(atLeast("throughput over full, of its FLOP ratio", OF_FLOP_RATIO, rate / ratio));
  if (name === "pfeiffer")
    reaches.push(atMost("bytes beyond inference over full's", MOST_BYTES, own.bytes / of("full").bytes));
  if (name === "dropped" && share !== null) {
    const saved = 1 - 1 / throughput(measured, "dropped", "pfeiffer");
    reaches.push(atLeast("time saved, of a layer's backward share", OF_LAYER, saved / share));
  }
  if (name === "fusion") reaches.push(atLeast("throughput over full", FUSION_OVER_FULL, rate));
  if (name === "routed")
    reaches.push(atLeast("throughput over dense + adapter", ROUTED_OVER_DENSE, throughput(measured, name, "layer")));
  return reaches;
}

function rowsOf(measured: ReadonlyMap<TrainingFormName, Measured>, share: number | null): ReportRow[] {
  const full = measured.get("full") as Measured;
  return [...measured].map(([name, { timing, explained, bytes }]) => ({
    suite: "training",
    name: timing.name,
    key: { form: name },
    cells: {
      GFLOP: explained.flops / 1e9,
      launches: explained.launches,
      "over full": timing.samples.length === 0 ? NaN : throughput(measured, name, "full"),
      "FLOP ratio": full.explained.flops / explained.flops,
      published: PUBLISHED[name] ?? "",
      "MB beyond inference": bytes / 1e6,
    },
    ...timingFields(timing),
    reaches: reachesOf(measured, name, share),
  }));
}

function notesOf({ layers, sequences, tokens, fused }: TrainingSizes, share: number | null): string[] {
  const timed =
    share === null ? "" : ` The backward pass of one layer is ${(100 * share).toFixed(1)} % of a Pfeiffer step.`;
  return [
    `${layers} layers of BERT-base, ${sequences} sequences of ${tokens} tokens, AdamW; fusion of ${fused} adapters. over full: steps per time over those of full fine-tuning.${timed}`,
    "ms: a whole step on the wall clock, from the inputs to the norm of the gradient: two submissions with the host between them.",
    "verified: the slope of the loss along the gradient, from two forward passes, against the gradient's squared norm.",
    "published: V100, 12 layers, batch 16 of length 128; the FLOP ratio of fewer layers is another one.",
  ];
}
