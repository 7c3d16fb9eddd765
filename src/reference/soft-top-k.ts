/** @file Soft top-k in float64, from the definitions of MATHS §1.3 rather than from the kernels' scalar recurrence. */

import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** The capped entropic problem of one segment. */
export interface SoftTopKProblem {
  readonly mode: "paper" | "exact";
  readonly epsilon: number;
  readonly iterations: number;
  readonly epsilonStart: number;
  readonly epsilonDecay: number;
}

/** scores[R], segments[S + 1], selected_segments[S + 1] -> weights[R]. */
export function softTopK(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const scores = inputs.scores as ReferenceTensor;
  const segments = (inputs.segments as ReferenceTensor).data;
  const selected = (inputs.selected_segments as ReferenceTensor).data;
  const problem = { iterations: 20, epsilonStart: 4, epsilonDecay: 0.7, ...attributes } as SoftTopKProblem;
  const weights = new Float64Array(scores.data.length);
  for (let s = 0; s + 1 < segments.length; s += 1) {
    const [start, end] = [segments[s] as number, segments[s + 1] as number];
    const k = (selected[s + 1] as number) - (selected[s] as number);
    weights.set(softTopKSegment(Float64Array.from(scores.data.subarray(start, end)), k, problem), start);
  }
  return { weights: { shape: scores.shape, data: weights } };
}

/** Weights of one segment: 0 for k = 0, 1 for k >= n, else exp((s + a + b) / ε) of the chosen solver's duals. */
export function softTopKSegment(scores: Float64Array, k: number, problem: SoftTopKProblem): Float64Array {
  if (k === 0) return new Float64Array(scores.length);
  if (k >= scores.length) return new Float64Array(scores.length).fill(1);
  const a = problem.mode === "exact" ? exactDual(scores, k, problem.epsilon) : coordinateDual(scores, k, problem);
  return scores.map((score) => Math.min(1, Math.exp((score + a) / problem.epsilon)));
}

/** T coordinate updates from a = 0, b = 0 (AligneR App. A; CoDA eq. 11); the last b is min(-s - a, 0). @returns a. */
export function coordinateDual(scores: Float64Array, k: number, problem: SoftTopKProblem): number {
  const b = new Float64Array(scores.length);
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
  // rest[p] = ln sum over i >= p of exp(s_(i) / ε), from the small end.
  const rest = new Float64Array(sorted.length + 1).fill(-Infinity);
  for (let p = sorted.length - 1; p >= 0; p -= 1) {
    const x = (sorted[p] as number) / epsilon;
    rest[p] = x + Math.log1p(Math.exp((rest[p + 1] as number) - x));
  }
  for (let p = 0; p < k; p += 1) {
    const a = epsilon * (Math.log(k - p) - (rest[p] as number));
    // The first p at which nothing further saturates: all earlier ones were found too large already.
    if ((sorted[p] as number) + a <= 0) return a;
  }
  return -(sorted[k - 1] as number);
}

function logSumExp(values: Float64Array): number {
  const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}
