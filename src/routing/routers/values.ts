/** @file What several routers are made of: scores, gates that make λ of them, and the way back through each gate. */

import type { Value } from "../../graph/value.ts";
import { activation } from "../../ops/activation.ts";
import { elementwise } from "../../ops/elementwise.ts";
import { fill } from "../../ops/fill.ts";
import { positionScores } from "../../ops/position-scores.ts";
import { rowDot } from "../../ops/row-dot.ts";
import { softTopK } from "../../ops/soft-top-k.ts";
import { softTopKGradient } from "../../ops/soft-top-k-gradient.ts";
import type { RouterSite, Scored } from "../router.ts";

/** Makes λ of the scores. */
export type Gate = (site: RouterSite, scores: Value) => Value;

/** s = Xn w with a trained vector (MATHS §1.2 eq. 2). */
export function learnedScores({ b, x, vector }: RouterSite, name = "score"): Value {
  return b.op(rowDot, { x, w: vector(name) }, {}).y as Value;
}

/** Scores with a trained vector, and the λ that a gate makes of them. */
export function gatedBy(gate: Gate, vector?: string): (site: RouterSite) => Scored {
  return (site) => {
    const scores = learnedScores(site, vector);
    return { scores, weights: gate(site, scores) };
  };
}

/** λ of the operator that `coda` was told (MATHS §1.3). */
export function softTopKWeights({ b, segments, selectedSegments, options }: RouterSite, scores: Value): Value {
  const { softTopK: mode, ...rest } = options;
  const inputs = { scores, segments, selected_segments: selectedSegments };
  return b.op(softTopK, inputs, { mode, ...rest }).weights as Value;
}

/** ∂L/∂s through that operator. */
export function softTopKBack(site: RouterSite, { scores }: Pick<Scored, "scores">, gradient: Value): Value {
  const { b, segments, selectedSegments, options } = site;
  const { softTopK: mode, ...rest } = options;
  const inputs = { scores, segments, selected_segments: selectedSegments, gradient };
  // The closed form is written in the weights, the unrolled one in the scores alone.
  const weights = mode === "exact" ? softTopKWeights(site, scores) : undefined;
  return b.op(softTopKGradient, { ...inputs, weights }, { mode, ...rest }).ds as Value;
}

/** 1 for every row. */
export function ones({ b, x }: RouterSite): Value {
  return b.op(fill, { x }, { value: 1, axes: 1 }).y as Value;
}

/** σ of every score. */
export function sigmoid({ b }: RouterSite, scores: Value): Value {
  return b.op(activation, { x: scores }, { kind: "sigmoid" }).y as Value;
}

/** g λ (1 − λ): ∂L/∂s where λ = σ(s). */
export function sigmoidBack({ b }: RouterSite, { weights }: Pick<Scored, "weights">, gradient: Value): Value {
  const product = (left: Value, right: Value): Value =>
    b.op(elementwise, { a: left, b: right }, { operation: "mul" }).y as Value;
  const square = product(weights, weights);
  const slope = b.op(elementwise, { a: weights, b: square }, { operation: "sub" }).y as Value;
  return product(gradient, slope);
}

/** Scores by which the first rows win. */
export function firstScores({ b, x, segments }: RouterSite): Value {
  return b.op(positionScores, { x, segments }, { mode: "first" }).y as Value;
}
