/** @file The gradient of soft top-k in float64: reverse differentiation of the definition, duals a and b and all. */

import { eachSegment, finiteScores, problemOf, softTopKSegment } from "./soft-top-k.ts";
import type { SoftTopKProblem } from "./soft-top-k.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** scores[R], segments[S + 1], selected_segments[S + 1], gradient[R] -> ds[R]. Weights are computed again, not read. */
export function softTopKGradient(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const scores = inputs.scores as ReferenceTensor;
  const gradient = (inputs.gradient as ReferenceTensor).data;
  const problem = problemOf(attributes);
  const data = eachSegment(inputs, (start, end, k) =>
    softTopKGradientSegment(
      Float64Array.from(scores.data.subarray(start, end)),
      Float64Array.from(gradient.subarray(start, end)),
      k,
      problem,
    ),
  );
  return { ds: { shape: scores.shape, data } };
}

/** ∂L/∂scores of one segment from ∂L/∂weights; 0 for k = 0 and k >= n, where the weights are constant. */
export function softTopKGradientSegment(
  scores: Float64Array,
  gradient: Float64Array,
  k: number,
  problem: SoftTopKProblem,
): Float64Array {
  if (k === 0 || k >= scores.length) return new Float64Array(scores.length);
  if (problem.mode === "exact") return exactGradient(softTopKSegment(scores, k, problem), gradient, problem.epsilon);
  return unrolledGradient(finiteScores(scores), gradient, k, problem);
}

/** Σ w = k holds while scores move, so the open weights share their mean gradient: w (g - ḡ) / ε. */
function exactGradient(weights: Float64Array, gradient: Float64Array, epsilon: number): Float64Array {
  let [sum, product] = [0, 0];
  weights.forEach((weight, i) => {
    if (weight >= 1) return;
    sum += weight;
    product += weight * (gradient[i] as number);
  });
  return weights.map((weight, i) =>
    weight >= 1 || weight === 0 ? 0 : (weight * ((gradient[i] as number) - product / sum)) / epsilon,
  );
}

interface Iterate {
  readonly epsilon: number;
  /** The duals b that the iteration starts from. */
  readonly b: Float64Array;
  readonly a: number;
}

/** The iterations, and after the last one b as the weights take it. */
function unroll(scores: Float64Array, k: number, problem: SoftTopKProblem): { iterates: Iterate[]; b: Float64Array } {
  const iterates: Iterate[] = [];
  let b = problem.start === "minus-scores" ? scores.map((score) => -score) : new Float64Array(scores.length);
  let epsilon = Math.max(problem.epsilonStart, problem.epsilon);
  for (let t = 0; t < problem.iterations; t += 1) {
    const a = epsilon * (Math.log(k) - logSumExp(scores, b, epsilon));
    iterates.push({ epsilon, b, a });
    b = scores.map((score) => Math.min(-score - a, 0));
    epsilon = Math.max(problem.epsilonDecay * epsilon, problem.epsilon);
  }
  return { iterates, b };
}

/**
 * Backwards through w = exp((s + a + b) / ε), b = min(-s - a, 0) and a = ε (ln k - ln Σ exp((s + b) / ε)), iteration by
 * iteration: `ds`, `da`, `db` are the derivatives of the loss by what they are named after. On the kink of the minimum
 * the score counts as saturated.
 */
function unrolledGradient(
  scores: Float64Array,
  gradient: Float64Array,
  k: number,
  problem: SoftTopKProblem,
): Float64Array {
  const { iterates, b: last } = unroll(scores, k, problem);
  const dual = (iterates[iterates.length - 1] as Iterate).a;
  const db = scores.map(
    (score, i) =>
      ((gradient[i] as number) * Math.exp((score + dual + (last[i] as number)) / problem.epsilon)) / problem.epsilon,
  );
  const ds = db.slice();
  let da = db.reduce((sum, value) => sum + value, 0);
  for (const { epsilon, b, a } of iterates.toReversed()) {
    scores.forEach((score, i) => {
      if (score + a < 0) return;
      ds[i] = (ds[i] as number) - (db[i] as number);
      da -= db[i] as number;
    });
    const sum = logSumExp(scores, b, epsilon);
    scores.forEach((score, i) => {
      const share = Math.exp((score + (b[i] as number)) / epsilon - sum) * da;
      ds[i] = (ds[i] as number) - share;
      db[i] = -share;
    });
    da = 0;
  }
  // From b = -s, which is a function of the scores too.
  if (problem.start === "minus-scores") db.forEach((value, i) => (ds[i] = (ds[i] as number) - value));
  return ds;
}

function logSumExp(scores: Float64Array, b: Float64Array, epsilon: number): number {
  const values = scores.map((score, i) => (score + (b[i] as number)) / epsilon);
  const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}
