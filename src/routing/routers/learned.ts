/** @file Routers with a trained vector per layer: soft top-k, and what its ablations put in its place (MATHS §1.5). */

import type { Router } from "../router.ts";
import { firstScores, learnedScores, ones, sigmoid, sigmoidBack, softTopKBack, softTopKWeights } from "./values.ts";

const VECTORS = ["score"] as const;

/** CoDA: λ = softtopk(Xn w, k), the k largest scores (MATHS §1.2). */
export function learned(): Router {
  return {
    name: "learned",
    settings: {},
    vectors: VECTORS,
    score: (site) => {
      const scores = learnedScores(site);
      return { scores, weights: softTopKWeights(site, scores) };
    },
    gradient: (site, { scores }, gradient) => softTopKBack(site, scores, gradient),
  };
}

/** λ = σ(Xn w), the k largest scores. Nothing couples the rows, so Σλ is free. */
export function sigmoidGate(): Router {
  return {
    name: "sigmoid",
    settings: {},
    vectors: VECTORS,
    score: (site) => {
      const scores = learnedScores(site);
      return { scores, weights: sigmoid(site, scores) };
    },
    gradient: (site, { weights }, gradient) => sigmoidBack(site, weights, gradient),
  };
}

/** λ = 1 forward; the gradient is that of soft top-k, as if its weights had been there. */
export function straightThrough(): Router {
  return {
    name: "straight-through",
    settings: {},
    vectors: VECTORS,
    score: (site) => {
      const scores = learnedScores(site);
      return { scores, weights: ones(site) };
    },
    gradient: (site, { scores }, gradient) => softTopKBack(site, scores, gradient),
  };
}

/** Mixture-of-Depths (MATHS §1.3, eq. 1): λ = s = Xn w, neither normalised nor bounded, the k largest. */
export function mixtureOfDepths(): Router {
  return {
    name: "mixture-of-depths",
    settings: {},
    vectors: VECTORS,
    score: (site) => {
      const scores = learnedScores(site);
      return { scores, weights: scores };
    },
    gradient: (_, __, gradient) => gradient,
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
    gradient: (site, _, gradient) => softTopKBack(site, learnedScores(site), gradient),
  };
}
