/**
 * @file Suite `multitask`: eight tasks at once on one model, with the adapters of the lowest layers dropped and with none
 * dropped, against eight fully tuned models run one after another.
 */

import { adapterLeaf, parallel } from "../../adapters/composition.ts";
import type { Composition } from "../../adapters/composition.ts";
import { compare } from "../../cases/check.ts";
import type { Comparison } from "../../cases/check.ts";
import { Encoder } from "../encoder.ts";
import type { EncoderSizes } from "../encoder.ts";
import { encoderCandidate } from "../encoder-run.ts";
import type { ComposedForm, EncoderCandidate, EncoderForm } from "../encoder-run.ts";
import { measure, speedUp } from "../harness.ts";
import type { Candidate, Timing } from "../harness.ts";
import { atLeast, timingFields } from "../report.ts";
import type { Reach, ReportRow } from "../report.ts";
import { pairedRatio } from "../statistics.ts";
import type { Suite } from "../suite.ts";
import { hiddenTolerance } from "../verify-encoder.ts";

const BERT_BASE: EncoderSizes = { layers: 12, width: 768, heads: 12, ffnWidth: 3072, bottleneck: 48 };
const TOKENS = 128;
const TASKS = Array.from({ length: 8 }, (_, index) => `task ${index}`);
const DROPPED = 5;
/** Published: 39 % less time (AdapterDrop, V100). */
const LESS_TIME = 0.35;
const OVER_TUNED = 1.45;
/** Tokens that are verified in float64, in the plan of all tokens: all of them would take many minutes. */
const VERIFIED_TOKENS = 3;
const SEED = 1;

/** The suite. */
export const multitaskSuite: Suite = {
  name: "multitask",
  summary: "8 tasks at once, 5 or no layers dropped, against 8 models one after another (12 layers, d 768, n 128)",
  run: async (gpu, { rounds = 3 }, context) => {
    const repeats = { warmup: 0, rounds };
    const encoder = new Encoder(gpu, BERT_BASE, SEED, { slots: TASKS.length });
    const planned: EncoderCandidate[] = [];
    try {
      for (const [index, task] of TASKS.entries()) await encoder.add(task, "pfeiffer", 1000 * (index + 1));
      for (const form of forms()) planned.push(await encoderCandidate(encoder, form, [TOKENS]));
      const candidates = planned.map((candidate, index) => shortened(encoder, candidate, index === 0));
      const timings = await measure(candidates, repeats, context);
      const notes = [
        `batch 1, ${TOKENS} tokens, all ${BERT_BASE.layers} layers, Pfeiffer adapters; eight models: the bare model run eight times, its weights shared.`,
        "the adapters of the first layer come after its frozen part, so even with none dropped that part is shared.",
        `verified: ${VERIFIED_TOKENS} tokens in float64 in the same plan; at full length the first and the last task against that task alone.`,
      ];
      return { rows: rowsOf(planned, timings), notes, settings: { ...BERT_BASE, tokens: TOKENS, ...repeats } };
    } finally {
      for (const candidate of planned) candidate.planned.dispose();
      await encoder.dispose();
    }
  },
};

function forms(): EncoderForm[] {
  const all: Composition = parallel(...TASKS);
  return [
    { kind: "dense" },
    { kind: "composed", name: "8 tasks at once, none dropped", adapters: all },
    { kind: "composed", name: `8 tasks at once, ${DROPPED} layers dropped`, adapters: all, dropped: DROPPED },
  ];
}

/** A candidate that is verified on few tokens, and task by task at full length; the bare model is run once per task. */
function shortened(encoder: Encoder, candidate: EncoderCandidate, bare: boolean): Candidate {
  const { form, planned } = candidate;
  const verify = async (say: (doing: string) => void): Promise<Comparison> => {
    const few = await encoderCandidate(encoder, form, [VERIFIED_TOKENS], [TOKENS]);
    try {
      const found = await few.verify(say);
      if (!found.ok || form.kind !== "composed") return found;
      const alone = await sameAlone(encoder, form, candidate, say);
      return alone.ok && alone.error <= found.error ? found : alone;
    } finally {
      few.planned.dispose();
    }
  };
  const once = async (): Promise<number> => (await planned.run()).milliseconds;
  if (!bare) return { name: candidate.name, verify, run: once };
  const run = async (): Promise<number> => {
    let total = 0;
    for (const _ of TASKS) total += await once();
    return total;
  };
  return { name: "8 models one after another", verify, run };
}

/** Compares the first and the last copy with a run of that task alone. */
async function sameAlone(
  encoder: Encoder,
  form: ComposedForm,
  { planned }: EncoderCandidate,
  say: (doing: string) => void,
): Promise<Comparison> {
  const together = (await planned.run()).outputs.hidden?.data ?? new Float32Array(0);
  const size = together.length / TASKS.length;
  const found: Comparison[] = [];
  for (const index of [0, TASKS.length - 1]) {
    const task = TASKS[index] as string;
    say(`${task} alone`);
    const alone = await encoderCandidate(encoder, { ...form, adapters: adapterLeaf(task) }, [TOKENS]);
    try {
      const expected = (await alone.planned.run()).outputs.hidden?.data ?? [];
      const own = together.subarray(index * size, (index + 1) * size);
      found.push(compare(`hidden of ${task}`, own, expected, hiddenTolerance(BERT_BASE, [TOKENS])));
    } finally {
      alone.planned.dispose();
    }
  }
  return found.reduce((worst, one) => (one.error > worst.error ? one : worst));
}

function rowsOf(planned: readonly EncoderCandidate[], timings: readonly Timing[]): ReportRow[] {
  const [tuned, whole, dropped] = timings as readonly [Timing, Timing, Timing];
  return timings.map((timing, index): ReportRow => {
    const flops = (planned[index] as EncoderCandidate).flops * (timing === tuned ? TASKS.length : 1);
    const cells = {
      GFLOP: flops / 1e9,
      "GFLOP/s": flops / 1e6 / timing.median,
      "over 8 models": speedUp(tuned, timing),
    };
    const row = { suite: "multitask", name: timing.name, cells, ...timingFields(timing) };
    if (timing !== dropped) return row;
    const less = 1 - pairedRatio(dropped.samples, whole.samples);
    const reaches: Reach[] = [
      atLeast("less time than none dropped", LESS_TIME, less),
      atLeast("over 8 models", OVER_TUNED, cells["over 8 models"]),
    ];
    return { ...row, cells: { ...cells, "less time": less }, reaches };
  });
}
