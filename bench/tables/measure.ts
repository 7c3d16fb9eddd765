/**
 * @file One group of forms at one shape: planned, checked, then timed in turns, as many rounds as its time allows. Groups
 * are the unit of ratios and of resuming: whatever is compared is in one group and one run.
 */

import { measure } from "../../src/bench/harness.ts";
import type { BenchContext } from "../../src/bench/harness.ts";
import { timingFields } from "../../src/bench/report.ts";
import type { ReportRow } from "../../src/bench/report.ts";
import type { Comparison } from "../../src/cases/check.ts";
import { EngineError } from "../../src/errors.ts";
import { formName, needsOf, tokensOf } from "./forms.ts";
import type { Form, Measure, Need, Samples } from "./forms.ts";
import type { PaperShape } from "./published.ts";
import type { TimedForm, Workload } from "./workload.ts";

/** How often a group's forms are timed. */
export interface Rounds {
  /** Exactly so many, whatever they take. */
  readonly exact?: number;
  /** Otherwise as many as fit into so many milliseconds, at least one. */
  readonly budget: number;
  readonly most: number;
}

/** @returns the rounds of a group of which one takes so many milliseconds. */
export function roundsFor({ exact, budget, most }: Rounds, milliseconds: number): number {
  return exact ?? Math.min(most, Math.max(1, Math.round(budget / milliseconds)));
}

/** Forms that are timed in turns. */
export interface Group {
  readonly name: string;
  readonly shape: PaperShape;
  readonly forms: readonly Form[];
}

/** @returns what has to be timed for these numbers, the cheapest group first; `tokens` is the most rows under way at once. */
export function groupsOf(measures: readonly Measure[], layers: number, tokens: number): readonly Group[] {
  const groups = new Map<string, { shape: PaperShape; forms: Map<string, Form>; tokens: number }>();
  for (const need of measures.flatMap((one) => needsOf(one, layers))) {
    if (tokensOf(need) > tokens) continue;
    const { length, batch } = need.shape;
    const known = groups.get(need.group) ?? { shape: { length, batch }, forms: new Map<string, Form>(), tokens: 0 };
    for (const form of need.forms) known.forms.set(formName(form), form);
    groups.set(need.group, { ...known, tokens: known.tokens + tokensOf(need) });
  }
  const sorted = [...groups].sort(([, a], [, b]) => a.tokens - b.tokens);
  return sorted.map(([name, { shape, forms }]) => ({ name, shape, forms: [...forms.values()] }));
}

/** @returns true when every number's needs stay within so many rows under way at once. */
export function within(needs: readonly Need[], tokens: number): boolean {
  return needs.every((need) => tokensOf(need) <= tokens);
}

/** @returns the name of a form's row in a report. */
export function rowName(group: string, form: Form): string {
  return `${group}: ${formName(form)}`;
}

/** @returns the lookup of samples in rows; a form that was not timed, or was wrong, has none. */
export function samplesIn(rows: readonly ReportRow[]): Samples {
  const known = new Map(rows.map((row) => [row.name, row]));
  return (group, form) => {
    const row = known.get(rowName(group, form));
    return row?.verified?.ok === true ? (row.timing?.samples ?? null) : null;
  };
}

/** The device cannot hold it: no fault of the bench, and said in the cell. */
function isTooLarge(error: unknown): error is EngineError {
  return error instanceof EngineError && (error.code === "LIMIT" || error.code === "OUT_OF_MEMORY");
}

/** Forms verified against float64, each once per process. */
export class Verified {
  readonly #workload: Workload;
  readonly #known = new Map<string, Comparison>();

  constructor(workload: Workload) {
    this.#workload = workload;
  }

  async of(form: Form): Promise<Comparison> {
    const name = formName(form);
    const verdict = this.#known.get(name) ?? (await this.#workload.verify(form));
    this.#known.set(name, verdict);
    return verdict;
  }
}

/** Measures a group. @returns a row per form; without a timing where it is wrong or does not fit the device */
export async function measureGroup(
  workload: Workload,
  verified: Verified,
  { name, shape, forms }: Group,
  rounds: Rounds,
  context: BenchContext,
): Promise<ReportRow[]> {
  const planned: { readonly one: TimedForm; readonly verdict: Comparison }[] = [];
  const rows: ReportRow[] = [];
  const row = (form: Form, rest: Partial<ReportRow>, cells: ReportRow["cells"]): void => {
    const place = { length: shape.length, batch: shape.batch };
    rows.push({ suite: "adapterdrop", name: rowName(name, form), cells: { ...place, ...cells }, ...rest });
  };
  try {
    let cost = 0;
    for (const form of forms) {
      context.signal?.throwIfAborted();
      const verdict = await verified.of(form);
      try {
        const one = await workload.timed(form, shape);
        const start = performance.now();
        const checked = verdict.ok ? await one.check() : verdict;
        cost += performance.now() - start;
        planned.push({ one, verdict: checked.ok ? verdict : checked });
      } catch (error) {
        if (!isTooLarge(error)) throw error;
        row(form, {}, { limit: error.message });
      }
    }
    const candidates = planned.map(({ one, verdict }) => ({
      name: one.name,
      verify: async () => verdict,
      run: async () => (await one.planned.run()).milliseconds,
    }));
    // The run that was checked has warmed everything up.
    const repeats = { warmup: 0, rounds: roundsFor(rounds, cost) };
    const timings = await measure(candidates, repeats, context);
    for (const [index, timing] of timings.entries()) {
      const { form } = (planned[index] as (typeof planned)[number]).one;
      row(form, timingFields(timing), { rounds: repeats.rounds });
    }
    return rows;
  } finally {
    for (const { one } of planned) one.planned.dispose();
  }
}
