/** @file Soft top-k in float64, from the definitions of MATHS §1.3 rather than from the kernels' scalar recurrence. */

import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

const LARGEST_F32 = (2 - 2 ** -23) * 2 ** 127;

/** The capped entropic problem of one segment. */
export interface SoftTopKProblem {
  readonly mode: "paper" | "exact";
  readonly epsilon: number;
  readonly iterations: number;
  readonly epsilonStart: number;
  readonly epsilonDecay: number;
  /** Where b starts: 0, or minus the scores. */
  readonly start?: "zero" | "minus-scores";
}

/** The attributes of an op with the published values filled in. */
export function problemOf(attributes: Readonly<Record<string, unknown>>): SoftTopKProblem {
  return { iterations: 20, epsilonStart: 4, epsilonDecay: 0.7, ...attributes } as SoftTopKProblem;
}

/** scores[R], segments[S + 1], selected_segments[S + 1] -> weights[R]. */
export function softTopK(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const scores = inputs.scores as ReferenceTensor;
  const problem = problemOf(attributes);
  const data = eachSegment(inputs, (start, end, k) =>
    softTopKSegment(Float64Array.from(scores.data.subarray(start, end)), k, problem),
  );
  return { weights: { shape: scores.shape, data } };
}

/** A value per row, made segment by segment from its rows and k. */
export function eachSegment(
  inputs: ReferenceTensors,
  values: (start: number, end: number, k: number) => Float64Array,
): Float64Array {
  const segments = (inputs.segments as ReferenceTensor).data;
  const selected = (inputs.selected_segments as ReferenceTensor).data;
  const all = new Float64Array((inputs.scores as ReferenceTensor).data.length);
  for (let s = 0; s + 1 < segments.length; s += 1) {
    const [start, end] = [segments[s] as number, segments[s + 1] as number];
    all.set(values(start, end, (selected[s + 1] as number) - (selected[s] as number)), start);
  }
  return all;
}

/** Infinities as the largest finite f32 of their sign: the scores that soft top-k is defined on. */
export function finiteScores(scores: Float64Array): Float64Array {
  return scores.map((score) => Math.min(Math.max(score, -LARGEST_F32), LARGEST_F32));
}

/** Weights of one segment: 0 for k = 0, 1 for k >= n, else exp((s + a + b) / ε) of the chosen solver's duals. */
export function softTopKSegment(given: Float64Array, k: number, problem: SoftTopKProblem): Float64Array {
  if (k === 0) return new Float64Array(given.length);
  if (k >= given.length) return new Float64Array(given.length).fill(1);
  let scores = finiteScores(given);
  let a: number;
  if (problem.mode === "exact") {
    // The optimum does not change with the origin; from the k-th largest on, float64 keeps the digits of any scores.
    const kth = scores.slice().sort()[scores.length - k] as number;
    scores = scores.map((score) => score - kth);
    a = exactDual(scores, k, problem.epsilon);
  } else {
    a = coordinateDual(scores, k, problem);
  }
  return scores.map((score) => Math.min(1, Math.exp((score + a) / problem.epsilon)));
}

/** T coordinate updates from a = 0 and b = 0 or -s (AligneR App. A; CoDA eq. 11); the last b is min(-s - a, 0). @returns a. */
export function coordinateDual(scores: Float64Array, k: number, problem: SoftTopKProblem): number {
  const b = problem.start === "minus-scores" ? scores.map((score) => -score) : new Float64Array(scores.length);
  let a = 0;
  let epsilon = Math.max(problem.epsilonStart, problem.epsilon);
  for (let t = 0; t < problem.iterations; t += 1) {
    a = epsilon * (Math.log(k) - logSumExp(scores.map((score, i) => (score + (b[i] as number)) / epsilon)));
    scores.forEach((score, i) => (b[i] = Math.min(-score - a, 0)));
    epsilon = Math.max(problem.epsilonDecay * epsilon, problem.epsilon);
  }
  return a;
}

/** The optimum in closed form, 0 < k < n: the p largest weights are 1 and the others share k - p. @returns a. */
export function exactDual(scores: Float64Array, k: number, epsilon: number): number {
  const sorted = scores.slice().sort().reverse();
  // rest[p] = ln sum over i >= p of exp((s_(i) - s_(p)) / ε), from the small end; relative, so that no digits are lost.
  const rest = new Float64Array(sorted.length);
  for (let p = sorted.length - 2; p >= 0; p -= 1) {
    const step = ((sorted[p] as number) - (sorted[p + 1] as number)) / epsilon;
    rest[p] = Math.log1p(Math.exp((rest[p + 1] as number) - step));
  }
  for (let p = 0; p < k; p += 1) {
    const share = Math.log(k - p) - (rest[p] as number);
    // The first p at which nothing further saturates: all earlier ones were found too large already.
    if (share <= 0) return epsilon * share - (sorted[p] as number);
  }
  return -(sorted[k - 1] as number);
}

function logSumExp(values: Float64Array): number {
  const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}
