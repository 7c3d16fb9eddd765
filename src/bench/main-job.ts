/**
 * @file The main job: a frozen encoder dense, with an adapter, and routed in all forms, on one long sequence and on a batch
 * of short ones, each verified against float64 and then timed, all in one run.
 */

import type { Gpu } from "../gpu/gpu.ts";
import { Encoder } from "./encoder.ts";
import type { EncoderSizes } from "./encoder.ts";
import { allForms, measureForms } from "./encoder-table.ts";
import { part } from "./harness.ts";
import type { BenchContext, Repeats } from "./harness.ts";
import type { ReportRow, SuiteResult } from "./report.ts";

/** The encoder of the main job. */
export const mainEncoder: EncoderSizes = { layers: 4, width: 256, heads: 8, ffnWidth: 1024, bottleneck: 64 };

const BATCHES: readonly { readonly name: string; readonly lengths: readonly number[] }[] = [
  { name: "1 × 512", lengths: [512] },
  { name: "8 × 64", lengths: Array.from({ length: 8 }, () => 64) },
];

/** What can be changed for a quick look or a test. */
export interface MainJobOptions {
  readonly sizes?: EncoderSizes;
  readonly batches?: typeof BATCHES;
  readonly reductions?: readonly number[];
  readonly repeats?: Repeats;
}

/** Runs the main job; rows hold time, speed-up over dense + adapter, FLOP ratio of MATHS §1.6 and its realised share. */
export async function runMainJob(gpu: Gpu, options: MainJobOptions, context: BenchContext): Promise<SuiteResult> {
  const {
    sizes = mainEncoder,
    batches = BATCHES,
    reductions = [2, 3, 5, 8],
    repeats = { warmup: 1, rounds: 5 },
  } = options;
  const encoder = await Encoder.create(gpu, sizes, 1);
  try {
    const rows: ReportRow[] = [];
    for (const [index, { name, lengths }] of batches.entries()) {
      const table = { suite: "start", batch: name, lengths, forms: allForms(reductions), repeats };
      rows.push(...(await measureForms(encoder, table, part(context, index, batches.length))));
    }
    return { rows, notes: [], settings: { ...sizes, reductions, batches, ...repeats } };
  } finally {
    await encoder.dispose();
  }
}
