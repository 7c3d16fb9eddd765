/** @file Forms of one encoder side by side: time, speed-up over dense + adapter, FLOP ratio and the share of it that was realised. */

import type { RoutedAttention } from "../routing/coda.ts";
import type { Encoder } from "./encoder.ts";
import { SAMPLED_ABOVE, encoderCandidate } from "./encoder-run.ts";
import type { EncoderCandidate } from "./encoder-run.ts";
import { baseForm, formName } from "./encoder-forms.ts";
import type { EncoderForm, RoutedForm } from "./encoder-forms.ts";
import { measure, speedUp } from "./harness.ts";
import type { BenchContext, Repeats, Timing } from "./harness.ts";
import { timingFields } from "./report.ts";
import type { Reach, ReportRow } from "./report.ts";

/** A routed form against dense + adapter. */
export interface Gain {
  readonly speedUp: number;
  /** FLOP of dense + adapter over those of the form. */
  readonly flopRatio: number;
  /** Speed-up over FLOP ratio. */
  readonly realised: number;
}

/** What a table of forms is made from. */
export interface FormTable {
  readonly suite: string;
  /** Names the batch, such as `1 × 512`. */
  readonly batch: string;
  readonly lengths: readonly number[];
  /** Dense + adapter among them. */
  readonly forms: readonly EncoderForm[];
  readonly repeats: Repeats;
  /** Runs of more FLOP are verified in some rows. */
  readonly sampledAbove?: number;
  /** Fields that all rows have besides those of their measurement. */
  readonly common?: Pick<ReportRow, "table" | "key">;
  /** Goals of the routed forms. */
  readonly goals?: (form: RoutedForm, gain: Gain) => readonly Reach[];
}

/** Plans all forms, verifies and times them in turns. */
export async function measureForms(
  encoder: Encoder,
  table: FormTable,
  context: BenchContext,
): Promise<readonly ReportRow[]> {
  const { forms, lengths, repeats, sampledAbove = SAMPLED_ABOVE } = table;
  const candidates: EncoderCandidate[] = [];
  try {
    for (const form of forms) candidates.push(await encoderCandidate(encoder, form, lengths, undefined, sampledAbove));
    return formRows(table, candidates, await measure(candidates, repeats, context));
  } finally {
    for (const { planned } of candidates) planned.dispose();
  }
}

function formRows(table: FormTable, candidates: readonly EncoderCandidate[], timings: readonly Timing[]): ReportRow[] {
  const baseAt = candidates.findIndex(({ form }) => form.kind === baseForm.kind);
  const base = { candidate: candidates[baseAt] as EncoderCandidate, timing: timings[baseAt] as Timing };
  const { suite, batch, common } = table;
  return candidates.map(({ form, flops, launches, sampled }, index): ReportRow => {
    const timing = timings[index] as Timing;
    const row = { suite, name: `${batch}, ${formName(form)}`, ...common, ...timingFields(timing) };
    const cost = { GFLOP: flops / 1e9, "GFLOP/s": flops / 1e6 / timing.median, launches };
    const checked = { "rows checked": sampled ? "some" : "all" };
    if (form.kind !== "routed") return { ...row, cells: { ...cost, ...checked } };
    const faster = speedUp(base.timing, timing);
    const flopRatio = base.candidate.flops / flops;
    const gain = { speedUp: faster, flopRatio, realised: faster / flopRatio };
    const cells = { ...cost, "speed-up": faster, "FLOP ratio": flopRatio, realised: gain.realised, ...checked };
    const key = { ...common?.key, r: form.reduction, attention: form.attention };
    const reaches = table.goals?.(form, gain) ?? [];
    return { ...row, key, cells, ...(reaches.length === 0 ? {} : { reaches }) };
  });
}

const ATTENTIONS: readonly RoutedAttention[] = ["k-to-k", "k-to-all"];

/** Every reduction in the given attention forms, both by default. */
export function routedForms(
  reductions: readonly number[],
  attentions: readonly RoutedAttention[] = ATTENTIONS,
): readonly RoutedForm[] {
  return reductions.flatMap((reduction) =>
    attentions.map((attention): RoutedForm => ({ kind: "routed", reduction, attention })),
  );
}

/** Dense, dense + adapter, and every reduction in both attention forms. */
export function allForms(reductions: readonly number[]): readonly EncoderForm[] {
  return [{ kind: "dense" }, baseForm, ...routedForms(reductions)];
}
