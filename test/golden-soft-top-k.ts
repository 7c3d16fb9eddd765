/** @file The golden vectors of soft top-k printed in MATHS §1.3, as data: for the reference and for the device. */

import type { SoftTopKProblem } from "../src/reference/soft-top-k.ts";

/** One row of the table. */
export interface GoldenSoftTopK {
  readonly name: string;
  readonly problem: SoftTopKProblem;
  readonly a: number;
  /** Empty where the table gives the sum alone. */
  readonly weights: readonly number[];
  readonly sum?: { readonly value: number; readonly precision: number };
  /** ∂L/∂scores for {@link goldenGradient}, where a row of the second table gives it. */
  readonly ds?: readonly number[];
}

/** Scores and k of all rows. */
export const goldenScores: readonly number[] = [0.9, -0.3, 0.45, 0.1, -1.2, 0.44, 0, 0.7];
export const goldenK = 3;
/** ∂L/∂λ of the table of gradients. */
export const goldenGradient: readonly number[] = [1, -2, 0.5, 0, 3, -1, 0.25, 2];
/** Six printed decimals. */
export const goldenPrecision = 0.5000001e-6;

type Mode = "exact" | "constant" | "constant, b = -s" | "scaled";

interface Printed {
  readonly a: number;
  readonly weights?: readonly number[];
  readonly sum?: number;
  readonly ds?: readonly number[];
}

function row(epsilon: number, mode: Mode, { a, weights = [], sum, ds }: Printed): GoldenSoftTopK {
  const decimals = sum === undefined ? 0 : (String(sum).split(".")[1] ?? "").length;
  return {
    name: `ε ${epsilon}, ${mode}`,
    problem: {
      mode: mode === "exact" ? "exact" : "paper",
      epsilon,
      iterations: 20,
      epsilonStart: mode === "scaled" ? 4 : 0,
      epsilonDecay: 0.7,
      start: mode === "constant, b = -s" ? "minus-scores" : "zero",
    },
    a,
    weights,
    ...(sum === undefined ? {} : { sum: { value: sum, precision: 0.5000001 * 10 ** -decimals } }),
    ...(ds === undefined ? {} : { ds }),
  };
}

const EPSILON_ONE: Printed = {
  a: -1.275508,
  weights: [0.68694, 0.206902, 0.438012, 0.308662, 0.08412, 0.433654, 0.279289, 0.562419],
  ds: [0.342209, -0.517636, -0.000804, -0.154898, 0.210146, -0.651278, -0.070335, 0.842596],
};

/** All rows. */
export const goldenCases: readonly GoldenSoftTopK[] = [
  row(1, "exact", EPSILON_ONE),
  row(1, "constant", EPSILON_ONE),
  row(1, "constant, b = -s", EPSILON_ONE),
  row(1, "scaled", EPSILON_ONE),
  row(0.1, "exact", {
    a: -0.516613,
    weights: [1, 0.000284, 0.513691, 0.015512, 0, 0.464807, 0.005707, 1],
    ds: [0, -0.005094, 3.63232, 0.032126, 0.000001, -3.685438, 0.026085, 0],
  }),
  row(0.1, "constant", {
    a: -0.51704,
    weights: [1, 0.000283, 0.511506, 0.015446, 0, 0.46283, 0.005682, 1],
    sum: 2.995748,
    ds: [0.003569, -0.005075, 3.611816, 0.031837, 0.000001, -3.674346, 0.025918, 0.00628],
  }),
  row(0.1, "scaled", {
    a: -0.523134,
    weights: [1, 0.000266, 0.481264, 0.014533, 0, 0.435465, 0.005346, 1],
    sum: 2.936875,
    ds: [0.004486, -0.003716, 3.350267, 0.032849, 0.000082, -3.499283, 0.026938, 0.088376],
  }),
  row(0.1, "constant, b = -s", { a: -0.515643, sum: 3.009753 }),
  row(0.03, "exact", { a: -0.466209, weights: [1, 0, 0.582567, 0.000005, 0, 0.417428, 0, 1] }),
  row(0.03, "constant", { a: -0.539985, weights: [1, 0, 0.049811, 0, 0, 0.035691, 0, 1], sum: 2.0855 }),
  row(0.03, "scaled", { a: -0.51618, weights: [1, 0, 0.110141, 0.000001, 0, 0.078919, 0, 1], sum: 2.189061 }),
  row(0.03, "constant, b = -s", { a: -0.247736, weights: [1, 0, 1, 0.007266, 0, 1, 0.000259, 1], sum: 4.0075 }),
];
