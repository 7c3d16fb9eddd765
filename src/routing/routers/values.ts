/** @file What several routers are made of: scores, and gates that make λ of them. */

import type { Value } from "../../graph/value.ts";
import { activation } from "../../ops/activation.ts";
import { fill } from "../../ops/fill.ts";
import { positionScores } from "../../ops/position-scores.ts";
import { rowDot } from "../../ops/row-dot.ts";
import { softTopK } from "../../ops/soft-top-k.ts";
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

/** 1 for every row. */
export function ones({ b, x }: RouterSite): Value {
  return b.op(fill, { x }, { value: 1, axes: 1 }).y as Value;
}

/** 1 for every row, with the gradient of soft top-k, as if its weights had been there. */
export function onesThroughSoftTopK(site: RouterSite, scores: Value): Value {
  return site.b.withGradient(ones(site), [softTopKWeights(site, scores)], (gradient) => [gradient]);
}

/** σ of every score. */
export function sigmoid({ b }: RouterSite, scores: Value): Value {
  return b.op(activation, { x: scores }, { kind: "sigmoid" }).y as Value;
}

/** Scores by which the first rows win. */
export function firstScores({ b, x, segments }: RouterSite): Value {
  return b.op(positionScores, { x, segments }, { mode: "first" }).y as Value;
}
