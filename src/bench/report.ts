/** @file What a bench hands over: rows for people and for machines, with the goals that they are held against. */

import type { Gpu } from "../gpu/gpu.ts";
import type { Timing } from "./harness.ts";

/** A goal and whether it was met. */
export interface Reach {
  /** What is measured, with its direction, such as "realised share >= 0.85". */
  readonly measure: string;
  readonly reach: number;
  readonly value: number;
  readonly ok: boolean;
}

/** One line of a report: cells by column. */
export interface ReportRow {
  readonly suite: string;
  readonly name: string;
  /** Heading of the table that the row stands in, where a suite has several. */
  readonly table?: string;
  /** What was measured, for machines: shape, tokens, form. */
  readonly key?: Readonly<Record<string, number | string>>;
  readonly cells: Readonly<Record<string, number | string>>;
  /** Verification against float64: largest error as a share of the scale, and the accepted one. */
  readonly verified?: {
    readonly ok: boolean;
    readonly error: number;
    readonly tolerance: number;
    readonly detail: string;
  };
  readonly timing?: {
    readonly median: number;
    readonly p10: number;
    readonly p90: number;
    readonly samples: readonly number[];
  };
  readonly reaches?: readonly Reach[];
}

/** The result of one suite. */
export interface SuiteResult {
  readonly rows: readonly ReportRow[];
  /** Sentences that belong under the table. */
  readonly notes: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
  /** A plot of the rows as SVG, where the suite has one. */
  readonly plot?: string;
}

/** A whole report, as it goes into a JSON file. */
export interface BenchReport {
  readonly device: string;
  readonly driver: string;
  readonly software: boolean;
  readonly clock: string;
  readonly date: string;
  readonly commit?: string;
  readonly suite: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly rows: readonly ReportRow[];
  readonly notes: readonly string[];
}

const CLOCKS: Readonly<Record<string, string>> = {
  gpu: "GPU timestamps, not quantised",
  "gpu-quantised": "GPU timestamps, rounded to 65,536 ns",
  wall: "wall clock around submit and read-back (this device has no timestamps)",
};

/** @returns what a report says about the device it was made on. */
export function deviceFields({ info }: Gpu): Pick<BenchReport, "device" | "driver" | "software" | "clock"> {
  const name = info.device === "" ? info.architecture : info.device;
  return {
    device: [info.vendor, name].filter((part) => part !== "").join(" "),
    driver: info.description,
    software: info.software,
    clock: CLOCKS[info.clock] ?? info.clock,
  };
}

/** @returns a goal that is met from `reach` on. */
export function atLeast(measure: string, reach: number, value: number): Reach {
  return { measure: `${measure} >= ${Number(reach.toPrecision(3))}`, reach, value, ok: value >= reach };
}

/** @returns a goal that is met up to `reach`. */
export function atMost(measure: string, reach: number, value: number): Reach {
  return { measure: `${measure} <= ${Number(reach.toPrecision(3))}`, reach, value, ok: value <= reach };
}

/** @returns the fields of a row that come from a timing. */
export function timingFields({ verdict, samples, median, p10, p90 }: Timing): Pick<ReportRow, "verified" | "timing"> {
  const { ok, error, tolerance, detail } = verdict;
  const verified = { ok, error, tolerance, detail };
  return samples.length === 0 ? { verified } : { verified, timing: { median, p10, p90, samples } };
}

/** @returns true when everything that was checked is right and every goal is met. */
export function verificationHeld(rows: readonly ReportRow[]): boolean {
  return rows.every(({ verified }) => verified === undefined || verified.ok);
}

/** @returns the goals that were missed. */
export function missed(rows: readonly ReportRow[]): readonly { readonly row: string; readonly reach: Reach }[] {
  return rows.flatMap((row) => (row.reaches ?? []).filter(({ ok }) => !ok).map((reach) => ({ row: row.name, reach })));
}
