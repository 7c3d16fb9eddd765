/** @file Routers with a trained vector per layer: soft top-k, and what its ablations put in its place (MATHS §1.5). */

import type { Router } from "../router.ts";
import { firstScores, gatedBy, learnedScores, onesThroughSoftTopK, sigmoid, softTopKWeights } from "./values.ts";

const VECTORS = ["score"] as const;

/** CoDA: λ = softtopk(Xn w, k), the k largest scores (MATHS §1.2). */
export function learned(): Router {
  return {
    name: "learned",
    settings: {},
    vectors: VECTORS,
    score: gatedBy(softTopKWeights),
  };
}

/** λ = σ(Xn w), the k largest scores. Nothing couples the rows, so Σλ is free. */
export function sigmoidGate(): Router {
  return {
    name: "sigmoid",
    settings: {},
    vectors: VECTORS,
    score: gatedBy(sigmoid),
  };
}

/** λ = 1 forward; the gradient is that of soft top-k, as if its weights had been there. */
export function straightThrough(): Router {
  return {
    name: "straight-through",
    settings: {},
    vectors: VECTORS,
    score: gatedBy(onesThroughSoftTopK),
  };
}

/** Mixture-of-Depths (MATHS §1.3, eq. 1): λ = s = Xn w, neither normalised nor bounded, the k largest. */
export function mixtureOfDepths(): Router {
  return {
    name: "mixture-of-depths",
    settings: {},
    vectors: VECTORS,
    score: gatedBy((_, scores) => scores),
  };
}

/** Selects the first k rows, whose λ are those of soft top-k: what is learned is how much, not which. */
export function firstK(): Router {
  return {
    name: "first-k",
    settings: {},
    vectors: VECTORS,
    score: (site) => {
      const scores = learnedScores(site);
      return { scores: firstScores(site), weights: softTopKWeights(site, scores) };
    },
  };
}
