/** @file Compositions of adapters side by side on one batch: time, and throughput as a share of the first one's. */

import type { Encoder, EncoderSizes } from "./encoder.ts";
import { encoderCandidate, formName } from "./encoder-run.ts";
import type { EncoderCandidate, EncoderForm } from "./encoder-run.ts";
import { measure, speedUp } from "./harness.ts";
import type { BenchContext, Repeats, Timing } from "./harness.ts";
import type { LaunchTime } from "../graph/launch-times.ts";
import { atLeast, atMost, timingFields } from "./report.ts";
import type { Reach, ReportRow } from "./report.ts";

/** Two of BERT-base's twelve layers, with room for the bottlenecks of reduction factor 16. */
export const bertBasePair: EncoderSizes = { layers: 2, width: 768, heads: 12, ffnWidth: 3072, bottleneck: 48 };

/** A form and what it must reach. */
export interface ComposedEntry {
  readonly form: EncoderForm;
  /** Throughput as a share of the first form's. */
  readonly throughput?: number;
  /** Time in multiples of the first form's. */
  readonly time?: number;
}

/** What a table of compositions is made from. The first entry is what the others are held against. */
export interface ComposedTable {
  readonly suite: string;
  /** Names the batch, such as `1 × 128`. */
  readonly batch: string;
  readonly lengths: readonly number[];
  readonly entries: readonly ComposedEntry[];
  readonly repeats: Repeats;
}

const PROFILED_RUNS = 3;

/** Plans all forms, verifies and times them in turns. */
export async function measureComposed(
  encoder: Encoder,
  table: ComposedTable,
  context: BenchContext,
): Promise<readonly ReportRow[]> {
  const candidates: EncoderCandidate[] = [];
  try {
    for (const { form } of table.entries) candidates.push(await encoderCandidate(encoder, form, table.lengths));
    const timings = await measure(candidates, table.repeats, context);
    const rows: ReportRow[] = [];
    for (const [index, entry] of table.entries.entries()) {
      const candidate = candidates[index] as EncoderCandidate;
      context.progress(1, 1, `profiling ${candidate.name}`);
      const launches = await candidate.planned.profileMedians(PROFILED_RUNS);
      rows.push(composedRow(table, entry, { flops: candidate.flops, launches, timings, index }));
    }
    return rows;
  } finally {
    for (const { planned } of candidates) planned.dispose();
  }
}

interface Measured {
  readonly flops: number;
  readonly launches: readonly LaunchTime[];
  readonly timings: readonly Timing[];
  readonly index: number;
}

function composedRow(table: ComposedTable, entry: ComposedEntry, measured: Measured): ReportRow {
  const { flops, launches, timings, index } = measured;
  const [base, own] = [timings[0] as Timing, timings[index] as Timing];
  const cells = { GFLOP: flops / 1e9, "GFLOP/s": flops / 1e6 / own.median, "adapter ms": adapterTime(launches) };
  const row = { suite: table.suite, name: `${table.batch}, ${formName(entry.form)}`, ...timingFields(own) };
  if (index === 0) return { ...row, cells };
  const throughput = speedUp(base, own);
  const reaches: Reach[] = [];
  if (entry.throughput !== undefined) reaches.push(atLeast("throughput ratio", entry.throughput, throughput));
  if (entry.time !== undefined) reaches.push(atMost("time ratio", entry.time, speedUp(own, base)));
  return { ...row, cells: { ...cells, "throughput ratio": throughput }, ...(reaches.length === 0 ? {} : { reaches }) };
}

/** Time of the launches of adapters and fusions that are launches of their own. */
function adapterTime(launches: readonly LaunchTime[]): number {
  if (launches.length === 0) return NaN;
  const own = launches.filter(({ op }) => op === "adapter" || op === "fusion");
  return own.reduce((total, { milliseconds }) => total + milliseconds, 0);
}
