/**
 * @file Suite `adapters`: what a parallel adapter adds to the bare layer; Pfeiffer and Houlsby adapters against the bare model; a
 * batch whose sequences have an adapter each against one adapter for all; bytes of an adapter against those of its model.
 */

import { adapterLeaf } from "../../adapters/composition.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { bertBasePair, measureComposed } from "../composed-table.ts";
import { Encoder, bertBaseLayer } from "../encoder.ts";
import { baseForm, encoderCandidate } from "../encoder-run.ts";
import type { EncoderCandidate, EncoderForm } from "../encoder-run.ts";
import { fileSizes } from "../file-size.ts";
import { measure, part } from "../harness.ts";
import type { BenchContext, Repeats, Timing } from "../harness.ts";
import { atLeast, atMost, timingFields } from "../report.ts";
import type { ReportRow } from "../report.ts";
import { pairedRatio } from "../statistics.ts";
import type { Suite } from "../suite.ts";

const LAYER_TOKENS = 512;
const PROFILED_RUNS = 5;
/** Overhead that is accepted, in multiples of the adapter's share of the FLOP. */
const MOST_OF_SHARE = 2;

/** Sequences of the batch in which every one has its own adapter, and their length. */
const MANY = 16;
const SHORT = 32;
const MODEL_TOKENS = 128;
/** Published ratios are 0.95 and 0.94 (AdapterDrop, V100). */
const PFEIFFER_SHARE = 0.975;
const HOULSBY_SHARE = 0.955;
const MOST_OF_ONE = 1.15;
const TIMES_SMALLER = 100;
const SEED = 1;

/** The suite. */
export const adaptersSuite: Suite = {
  name: "adapters",
  summary: "adapters over the bare layer and model, 16 adapters in one batch, file sizes (d 768)",
  run: async (gpu, { rounds }, context) => {
    const repeats = { warmup: 2, rounds: rounds ?? 21 };
    // A round of the batch takes as long as four of the others.
    const batchRepeats = { warmup: 1, rounds: rounds ?? 7 };
    const rows = [
      ...(await layerRows(gpu, repeats, part(context, 0, 3))),
      ...(await presetRows(gpu, repeats, part(context, 1, 3))),
      ...(await batchRows(gpu, batchRepeats, part(context, 2, 3))),
      sizeRow(),
    ];
    const notes = [
      "layer: overhead is the median over rounds of adapted / bare − 1; adapter ms: its launches, the median of profiled runs.",
      `model: ${bertBasePair.layers} of BERT-base's 12 layers, batch 1, ${MODEL_TOKENS} tokens; throughput ratio: time of the bare model / own time.`,
      `batch: ${MANY} sequences of ${SHORT} tokens on ${bertBasePair.layers} layers, Pfeiffer adapters.`,
      "files: both written in f32, the model as safetensors.",
    ];
    const settings = {
      layer: { ...bertBaseLayer, tokens: LAYER_TOKENS },
      model: bertBasePair,
      ...repeats,
      batch: batchRepeats,
    };
    return { rows, notes, settings };
  },
};

async function layerRows(gpu: Gpu, repeats: Repeats, context: BenchContext): Promise<ReportRow[]> {
  const encoder = await Encoder.create(gpu, bertBaseLayer, SEED);
  const candidates: EncoderCandidate[] = [];
  try {
    for (const form of [{ kind: "dense" } as const, baseForm])
      candidates.push(await encoderCandidate(encoder, form, [LAYER_TOKENS]));
    const [bare, adapted] = candidates as [EncoderCandidate, EncoderCandidate];
    const [bareTiming, adaptedTiming] = (await measure(candidates, repeats, context)) as [Timing, Timing];
    const share = adapted.flops / bare.flops - 1;
    const overhead = pairedRatio(adaptedTiming.samples, bareTiming.samples) - 1;
    const launches = await adapted.planned.profileMedians(PROFILED_RUNS);
    const own = launches
      .filter(({ op }) => op === "adapter")
      .reduce((total, { milliseconds }) => total + milliseconds, 0);
    const cells = { GFLOP: adapted.flops / 1e9, "FLOP share": share, overhead, "adapter ms": own };
    return [
      { suite: "adapters", name: "bare layer", cells: { GFLOP: bare.flops / 1e9 }, ...timingFields(bareTiming) },
      {
        suite: "adapters",
        name: "layer + parallel adapter",
        cells: launches.length === 0 ? { ...cells, "adapter ms": NaN } : cells,
        ...timingFields(adaptedTiming),
        reaches: [atMost("overhead", MOST_OF_SHARE * share, overhead)],
      },
    ];
  } finally {
    for (const { planned } of candidates) planned.dispose();
    await encoder.dispose();
  }
}

function adapterForm(name: string): EncoderForm {
  return { kind: "composed", name, adapters: adapterLeaf(name) };
}

async function presetRows(gpu: Gpu, repeats: Repeats, context: BenchContext): Promise<readonly ReportRow[]> {
  const encoder = new Encoder(gpu, bertBasePair, SEED, { slots: 2 });
  try {
    await encoder.add("pfeiffer", "pfeiffer", 100);
    await encoder.add("houlsby", "houlsby", 200);
    const entries = [
      { form: { kind: "dense" } as const },
      { form: adapterForm("pfeiffer"), throughput: PFEIFFER_SHARE },
      { form: adapterForm("houlsby"), throughput: HOULSBY_SHARE },
    ];
    const batch = `model 1 × ${MODEL_TOKENS}`;
    return await measureComposed(
      encoder,
      { suite: "adapters", batch, lengths: [MODEL_TOKENS], entries, repeats },
      context,
    );
  } finally {
    await encoder.dispose();
  }
}

async function batchRows(gpu: Gpu, repeats: Repeats, context: BenchContext): Promise<readonly ReportRow[]> {
  const encoder = new Encoder(gpu, bertBasePair, SEED, { slots: MANY });
  const names = Array.from({ length: MANY }, (_, index) => `task ${index}`);
  try {
    for (const [index, name] of names.entries()) await encoder.add(name, "pfeiffer", 100 * (index + 1));
    const entries = [
      { form: { kind: "composed", name: "one adapter", adapters: adapterLeaf("task 0") } as const },
      { form: { kind: "composed", name: `${MANY} adapters`, adapters: names } as const, time: MOST_OF_ONE },
    ];
    const batch = `batch ${MANY} × ${SHORT}`;
    const lengths = names.map(() => SHORT);
    return await measureComposed(encoder, { suite: "adapters", batch, lengths, entries, repeats }, context);
  } finally {
    await encoder.dispose();
  }
}

function sizeRow(): ReportRow {
  const { adapter, model } = fileSizes();
  const cells = { "adapter bytes": adapter, "model bytes": model, "times smaller": model / adapter };
  const reaches = [atLeast("times smaller", TIMES_SMALLER, model / adapter)];
  return { suite: "adapters", name: "files: Pfeiffer rf 16, BERT-base", cells, reaches };
}
