/** @file The golden vectors of soft top-k printed in MATHS §1.3, as data: for the reference and for the device. */

import type { SoftTopKProblem } from "../src/reference/soft-top-k.ts";

/** One row of the table. */
export interface GoldenSoftTopK {
  readonly name: string;
  readonly problem: SoftTopKProblem;
  readonly a: number;
  readonly weights: readonly number[];
  readonly sum?: { readonly value: number; readonly precision: number };
}

/** Scores and k of all rows. */
export const goldenScores: readonly number[] = [0.9, -0.3, 0.45, 0.1, -1.2, 0.44, 0, 0.7];
export const goldenK = 3;
/** Six printed decimals. */
export const goldenPrecision = 0.5000001e-6;

function row(
  name: string,
  mode: "paper" | "exact",
  epsilon: number,
  epsilonStart: number,
  a: number,
  weights: readonly number[],
  sum?: number,
): GoldenSoftTopK {
  const problem = { mode, epsilon, iterations: 20, epsilonStart, epsilonDecay: 0.7 };
  const decimals = sum === undefined ? 0 : (String(sum).split(".")[1] ?? "").length;
  return {
    name,
    problem,
    a,
    weights,
    ...(sum === undefined ? {} : { sum: { value: sum, precision: 0.5000001 * 10 ** -decimals } }),
  };
}

const EPSILON_ONE = [0.68694, 0.206902, 0.438012, 0.308662, 0.08412, 0.433654, 0.279289, 0.562419];

/** The rows that start from b = 0. */
export const goldenCases: readonly GoldenSoftTopK[] = [
  row("ε 1, exact", "exact", 1, 0, -1.275508, EPSILON_ONE),
  row("ε 1, constant", "paper", 1, 0, -1.275508, EPSILON_ONE),
  row("ε 1, scaled", "paper", 1, 4, -1.275508, EPSILON_ONE),
  row("ε 0.1, exact", "exact", 0.1, 0, -0.516613, [1, 0.000284, 0.513691, 0.015512, 0, 0.464807, 0.005707, 1]),
  row(
    "ε 0.1, constant",
    "paper",
    0.1,
    0,
    -0.51704,
    [1, 0.000283, 0.511506, 0.015446, 0, 0.46283, 0.005682, 1],
    2.995748,
  ),
  row(
    "ε 0.1, scaled",
    "paper",
    0.1,
    4,
    -0.523134,
    [1, 0.000266, 0.481264, 0.014533, 0, 0.435465, 0.005346, 1],
    2.936875,
  ),
  row("ε 0.03, exact", "exact", 0.03, 0, -0.466209, [1, 0, 0.582567, 0.000005, 0, 0.417428, 0, 1]),
  row("ε 0.03, constant", "paper", 0.03, 0, -0.539985, [1, 0, 0.049811, 0, 0, 0.035691, 0, 1], 2.0855),
  row("ε 0.03, scaled", "paper", 0.03, 4, -0.51618, [1, 0, 0.110141, 0.000001, 0, 0.078919, 0, 1], 2.189061),
];
