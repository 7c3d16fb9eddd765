/** @file Forms of one encoder side by side: time, speed-up over dense + adapter, FLOP ratio and the share of it that was realised. */

import type { Encoder } from "./encoder.ts";
import { baseForm, encoderCandidate, formName } from "./encoder-run.ts";
import type { EncoderCandidate, EncoderForm } from "./encoder-run.ts";
import { measure, speedUp } from "./harness.ts";
import type { BenchContext, Repeats, Timing } from "./harness.ts";
import { atLeast, timingFields } from "./report.ts";
import type { ReportRow } from "./report.ts";

/** What a table of forms is made from. */
export interface FormTable {
  readonly suite: string;
  /** Names the batch, such as `1 × 512`. */
  readonly batch: string;
  readonly lengths: readonly number[];
  readonly forms: readonly EncoderForm[];
  readonly repeats: Repeats;
  /** Realised share that the routed forms named here must reach. */
  readonly reach?: { readonly share: number; readonly reductions: readonly number[] };
}

/** Plans all forms, verifies and times them in turns. `more` looks at the candidates before they are freed. */
export async function measureForms(
  encoder: Encoder,
  table: FormTable,
  context: BenchContext,
  more: (candidates: readonly EncoderCandidate[]) => Promise<readonly ReportRow[]> = async () => [],
): Promise<readonly ReportRow[]> {
  const candidates: EncoderCandidate[] = [];
  try {
    for (const form of table.forms) candidates.push(await encoderCandidate(encoder, form, table.lengths));
    const timings = await measure(candidates, table.repeats, context);
    return [...formRows(table, candidates, timings), ...(await more(candidates))];
  } finally {
    for (const { planned } of candidates) planned.dispose();
  }
}

function formRows(table: FormTable, candidates: readonly EncoderCandidate[], timings: readonly Timing[]): ReportRow[] {
  const baseAt = candidates.findIndex(({ form }) => form.kind === baseForm.kind);
  const base = { candidate: candidates[baseAt] as EncoderCandidate, timing: timings[baseAt] as Timing };
  return candidates.map(({ form, flops }, index): ReportRow => {
    const timing = timings[index] as Timing;
    const row = { suite: table.suite, name: `${table.batch}, ${formName(form)}`, ...timingFields(timing) };
    const rate = flops / 1e6 / timing.median;
    if (form.kind !== "routed") return { ...row, cells: { GFLOP: flops / 1e9, "GFLOP/s": rate } };
    const ratio = base.candidate.flops / flops;
    const faster = speedUp(base.timing, timing);
    const share = faster / ratio;
    const cells = { GFLOP: flops / 1e9, "GFLOP/s": rate, "speed-up": faster, "FLOP ratio": ratio, realised: share };
    if (table.reach?.reductions.includes(form.reduction) !== true) return { ...row, cells };
    return { ...row, cells, reaches: [atLeast("realised share", table.reach.share, share)] };
  });
}

/** Dense, dense + adapter, and every reduction in both attention forms. */
export function allForms(reductions: readonly number[]): readonly EncoderForm[] {
  const routed = reductions.flatMap((reduction) =>
    (["k-to-k", "k-to-all"] as const).map((attention): EncoderForm => ({ kind: "routed", reduction, attention })),
  );
  return [{ kind: "dense" }, baseForm, ...routed];
}
