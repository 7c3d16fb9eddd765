/** @file The shared table of cases: tests, `doctor` and the kernel bench run every op on the same inputs. */

import type { Attributes } from "../ops/op.ts";

export { generator, normal } from "../random.ts";

/** One input of a case. Values of an f16 input are given as f32 and rounded to half precision before use. */
export interface CaseTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint32Array;
  readonly f16?: boolean;
  /** Gives axis 0 a run-time length under this symbol, so that it is not baked into anything. */
  readonly rows?: string;
}

/** One call of an op, with inputs that are made on demand and are the same every time. */
export interface OpCase {
  readonly name: string;
  readonly attributes: Attributes;
  readonly inputs: () => Record<string, CaseTensor>;
  /**
   * Largest accepted error of an element, as a multiple of the case's scale (the largest finite magnitude of the
   * reference output). Derived from the element type and the reduction length: {@link toleranceFor}.
   */
  readonly tolerance: number;
  /** Run-time sizes that no input's axis gives, by symbol: the number of selected rows, say, or the slot that takes part. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Outputs that must be equal to the last bit, such as selected indices. */
  readonly exact?: readonly string[];
  /** Run by the bench and timed; too large for the test run. */
  readonly bench?: boolean;
}

/** The cases of one op. */
export interface CaseTable {
  readonly stem: string;
  readonly cases: readonly OpCase[];
}

const EPSILON_F32 = 2 ** -24;

/**
 * Error bound of a reduction of `length` f32 terms relative to the output's scale: rounding errors of a sum grow like
 * √length on average; the factor 8 covers cancellation against the scale and a few further roundings.
 */
export function toleranceFor(length: number): number {
  return 8 * Math.sqrt(Math.max(length, 4)) * EPSILON_F32;
}
