/** @file What a suite of the bench is. */

import type { Gpu } from "../gpu/gpu.ts";
import type { Model } from "../model/model.ts";
import type { BenchContext } from "./harness.ts";
import type { SuiteResult } from "./report.ts";

/** What a user may ask of a suite. */
export interface SuiteOptions {
  /** More shapes and forms; may take longer than five minutes. */
  readonly full: boolean;
  /** Timed rounds; every suite has its own default. */
  readonly rounds?: number;
  /** A loaded model, for the suites that can take one. */
  readonly model?: Model;
}

/** One suite: `npx . bench <name>`. */
export interface Suite {
  readonly name: string;
  readonly summary: string;
  readonly run: (gpu: Gpu, options: SuiteOptions, context: BenchContext) => Promise<SuiteResult>;
}
