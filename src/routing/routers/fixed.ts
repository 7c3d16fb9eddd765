/** @file Routers without anything trained: the controls that a learned one must beat (MATHS §1.5). λ is 1, no gradient. */

import type { Value } from "../../graph/value.ts";
import { positionScores } from "../../ops/position-scores.ts";
import { rowDot } from "../../ops/row-dot.ts";
import type { Router, RouterSite, Scored } from "../router.ts";
import { firstScores, ones } from "./values.ts";

function counted(site: RouterSite, scores: Value): Scored {
  return { scores, weights: ones(site) };
}

/** The first k rows. */
export function truncation(): Router {
  return {
    name: "truncation",
    settings: {},
    vectors: [],
    score: (site) => counted(site, firstScores(site)),
  };
}

/** k evenly spaced rows, the first among them: every other one for r = 2. */
export function strided(): Router {
  return {
    name: "strided",
    settings: {},
    vectors: [],
    score: (site) => {
      const { b, x, segments, selectedSegments } = site;
      const inputs = { x, segments, selected_segments: selectedSegments };
      return counted(site, b.op(positionScores, inputs, { mode: "strided" }).y as Value);
    },
  };
}

/**
 * k rows at random: other ones in every layer and for every sequence, but for the same sequence the same ones in whatever batch it is.
 * @param options seed: a whole number below 2³²
 */
export function random({ seed = 0 }: { readonly seed?: number } = {}): Router {
  return {
    name: "random",
    settings: { seed },
    vectors: [],
    score: (site) => {
      const { b, x, segments, keys, layer } = site;
      const attributes = { mode: "random", seed, stream: layer } as const;
      return counted(site, b.op(positionScores, { x, segments, keys: keys() }, attributes).y as Value);
    },
  };
}

/** The k longest rows: scores are ‖Xn‖², which rank as ‖Xn‖ does. */
export function norm(): Router {
  return {
    name: "norm",
    settings: {},
    vectors: [],
    score: (site) => counted(site, site.b.op(rowDot, { x: site.x, w: site.x }, {}).y as Value),
  };
}
