/** @file The routers that a sweep knows by name, and which of its axes each one depends on. */

/** The name of a router of {@link coda}. */
export type RouterName = (typeof routerNames)[number];

/** In the order in which a sweep takes them. */
export const routerNames = [
  "learned",
  "sigmoid",
  "straight-through",
  "mixture-of-depths",
  "separate",
  "threshold",
  "truncation",
  "norm",
  "oracle",
  "random",
  "first-k",
  "strided",
] as const;

/** Axes that may leave a router's result as it is. */
export interface RouterAxes {
  /** λ comes from the soft top-k. */
  readonly softTopK: boolean;
  /** Keys come from the selection or from all rows; a router with keys of its own has no such choice. */
  readonly attention: boolean;
  /** Something is drawn at random while nothing is trained. */
  readonly seed: boolean;
  /** Rows are selected by comparing scores with a number. */
  readonly threshold: boolean;
  /** At r = 1 all rows are selected with λ = 1: the dense model, whatever the other axes say. */
  readonly dense: boolean;
}

/** Untrained, its vectors are drawn from the seed. */
const drawn: RouterAxes = { softTopK: false, attention: true, seed: true, threshold: false, dense: true };
/** Nothing is drawn. */
const fixed: RouterAxes = { softTopK: false, attention: true, seed: false, threshold: false, dense: true };

/** What every router depends on, besides reduction, layers and part. */
export const routerAxes: Readonly<Record<RouterName, RouterAxes>> = {
  learned: { ...drawn, softTopK: true },
  // A gate between 0 and 1.
  sigmoid: { ...drawn, dense: false },
  // λ is 1 on the selected rows; the soft top-k enters its gradient only.
  "straight-through": drawn,
  // λ is the score itself.
  "mixture-of-depths": { ...drawn, dense: false },
  separate: { ...drawn, softTopK: true, attention: false },
  // Selects as many rows as pass, whatever r.
  threshold: { ...drawn, threshold: true, dense: false },
  truncation: fixed,
  norm: fixed,
  oracle: fixed,
  random: drawn,
  // λ of the soft top-k on rows that no score chooses.
  "first-k": { ...drawn, softTopK: true },
  strided: fixed,
};
