/** @file Measures one unit of the suite `routing`: its forms in turns, the launches of one form, or the launches of plans. */

import type { Gpu } from "../gpu/gpu.ts";
import { Encoder } from "./encoder.ts";
import { formName } from "./encoder-forms.ts";
import type { RoutedForm } from "./encoder-forms.ts";
import { encoderCandidate } from "./encoder-run.ts";
import { measureForms } from "./encoder-table.ts";
import { measure } from "./harness.ts";
import type { BenchContext, Timing } from "./harness.ts";
import type { LaunchTime } from "../graph/launch-times.ts";
import { atMost, timingFields } from "./report.ts";
import type { ReportRow } from "./report.ts";
import { MOST_SELECTION_SHARE, goalsOf } from "./routing-goals.ts";
import { captureLaunches } from "./routing-launches.ts";
import type { RoutingUnit } from "./routing-units.ts";

const SUITE = "routing";
const SEED = 1;
/** Launches that choose rows; those that take them are part of the heavy path. */
const CHOOSING = { score: ["row-dot"], "soft top-k": ["soft-top-k"], selection: ["top-k"] } as const;

/** Draws the encoder of a unit, measures and frees it. */
export async function measureUnit(gpu: Gpu, unit: RoutingUnit, context: BenchContext): Promise<readonly ReportRow[]> {
  context.progress(0, 1, `drawing weights of ${unit.shape.name}`);
  const encoder = await Encoder.create(gpu, unit.shape.sizes, SEED);
  try {
    if (unit.kind === "forms") return await formRows(encoder, unit, context);
    if (unit.kind === "profile") return await selectionRows(encoder, unit, context);
    return await launchRows(encoder, unit);
  } finally {
    await encoder.dispose();
  }
}

function batchName({ shape, tokens }: RoutingUnit): string {
  return `${shape.name}, 1 × ${tokens}`;
}

async function formRows(encoder: Encoder, unit: RoutingUnit, context: BenchContext): Promise<readonly ReportRow[]> {
  const { shape, tokens, forms, rounds, sampledAbove } = unit;
  const table = {
    suite: SUITE,
    batch: batchName(unit),
    lengths: [tokens],
    forms,
    // Every form has run once already, to be verified.
    repeats: { warmup: 0, rounds },
    sampledAbove,
    common: { table: shape.title, key: { part: unit.part, n: tokens } },
    goals: (form: RoutedForm, gain: Parameters<typeof goalsOf>[3]) =>
      goalsOf(unit, encoder.gpu.info.software, form, gain),
  };
  return measureForms(encoder, table, context);
}

/** Scoring, soft top-k and selection among all launches of a routed form; without a time where launches cannot be timed. */
async function selectionRows(encoder: Encoder, unit: RoutingUnit, context: BenchContext): Promise<ReportRow[]> {
  const rows: ReportRow[] = [];
  for (const form of unit.forms) {
    const candidate = await encoderCandidate(encoder, form, [unit.tokens], undefined, unit.sampledAbove);
    try {
      const [timing] = (await measure([candidate], { warmup: 0, rounds: 0 }, context)) as [Timing];
      context.progress(1, 1, `profiling ${candidate.name}`);
      const launches = timing.verdict.ok ? await candidate.planned.profileMedians(unit.rounds) : [];
      const name = `${batchName(unit)}, ${candidate.name}: choice of rows`;
      const row = { suite: SUITE, table: "Cost of choosing rows", name, ...timingFields(timing) };
      rows.push({ ...row, ...selectionCells(launches) });
    } finally {
      candidate.planned.dispose();
    }
  }
  return rows;
}

/** Milliseconds of what chooses rows, and its share of all launches. */
export function selectionCells(launches: readonly Omit<LaunchTime, "scope">[]): Pick<ReportRow, "cells" | "reaches"> {
  const sum = (ops?: readonly string[]): number =>
    launches
      .filter(({ op }) => ops === undefined || ops.includes(op))
      .reduce((total, { milliseconds }) => total + milliseconds, 0);
  if (launches.length === 0) return { cells: { "layer ms": NaN, "share of layer": NaN } };
  const layer = sum();
  const parts = Object.entries(CHOOSING).map(([part, ops]): [string, number] => [`${part} ms`, sum(ops)]);
  const share = parts.reduce((total, [, milliseconds]) => total + milliseconds, 0) / layer;
  return {
    cells: { "layer ms": layer, ...Object.fromEntries(parts), "share of layer": share },
    reaches: [atMost("share of layer", MOST_SELECTION_SHARE, share)],
  };
}

async function launchRows(encoder: Encoder, unit: RoutingUnit): Promise<ReportRow[]> {
  const rows: ReportRow[] = [];
  for (const form of unit.forms) {
    const { off, without, on } = await captureLaunches(encoder, form as RoutedForm, unit.tokens);
    rows.push({
      suite: SUITE,
      table: "Launches of capture points",
      name: `${batchName(unit)}, ${formName(form)}`,
      cells: { "nothing captured": off, "no capture points": without, "all captured": on },
      reaches: [atMost("difference of nothing captured and no capture points", 0, Math.abs(off - without))],
    });
  }
  return rows;
}
