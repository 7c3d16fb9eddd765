/** @file What a suite of the bench is. */

import type { Gpu } from "../gpu/gpu.ts";
import type { Model } from "../model/model.ts";
import type { BenchContext } from "./harness.ts";
import type { ReportRow, SuiteResult } from "./report.ts";

/** Keeps what a long suite has finished, so that a second start goes on where the first one ended. */
export interface Journal {
  /** The rows of a finished unit, or undefined where it has not been measured. */
  readonly find: (unit: string) => readonly ReportRow[] | undefined;
  /** Keeps the rows of a unit; they are on disk when the promise is fulfilled. */
  readonly keep: (unit: string, rows: readonly ReportRow[]) => Promise<void>;
}

/** What a user may ask of a suite. */
export interface SuiteOptions {
  /** More shapes and forms; may take longer than five minutes. */
  readonly full: boolean;
  /** Timed rounds; every suite has its own default. */
  readonly rounds?: number;
  /** A loaded model, for the suites that can take one. */
  readonly model?: Model;
  /** Parts of a suite that are run alone; all when absent. */
  readonly only?: readonly string[];
  readonly journal?: Journal;
}

/** One suite: `npx . bench <name>`. */
export interface Suite {
  readonly name: string;
  readonly summary: string;
  /** Names that `only` may hold; a suite without parts is run as a whole. */
  readonly parts?: readonly string[];
  /** Whether its results hold a plot. */
  readonly plots?: boolean;
  readonly run: (gpu: Gpu, options: SuiteOptions, context: BenchContext) => Promise<SuiteResult>;
}
