/** @file CoDA's options (Lei et al. 2023, arXiv 2304.04947; MATHS §1) as checked, plain data. */

import { EngineError } from "../errors.ts";
import { routerNamed } from "./routers/index.ts";
import type { Router, SoftTopKOptions } from "./router.ts";

/** Keys and values of the heavy path: of the selected rows, or of all rows. */
export type RoutedAttention = "k-to-k" | "k-to-all";

/** What is routed: the whole layer, or one of its sub-layers while the other computes every row. */
export type RoutedPart = "layer" | "attention" | "ffn";

/** What a user may ask of {@link coda}. */
export interface CodaOptions {
  /** r of k = ceil(n / r), for all layers or per layer; null leaves a layer dense. */
  readonly reduction: number | readonly (number | null)[];
  readonly attention?: RoutedAttention;
  /** Default: the layer. */
  readonly part?: RoutedPart;
  /** Selects ceil(n / r) of every block of this many rows of a sequence, instead of the sequence as a whole. */
  readonly block?: number;
  /** "paper": T iterations with ε-scaling; "exact": the optimum. They are different functions (MATHS §1.3). */
  readonly softTopK?: "paper" | "exact";
  readonly epsilon?: number;
  readonly iterations?: number;
  readonly epsilonStart?: number;
  readonly epsilonDecay?: number;
  /** By name, or an object of `routers` or of one's own; default "learned". */
  readonly router?: string | Router;
  /**
   * One vector of the host's width per routed layer, lowest first; of a router with several vectors all of the first kind, then all
   * of the next.
   */
  readonly weights?: readonly Float32Array[];
  /** Overrides λ on every row. */
  readonly lambda?: number;
  /** The light path; default: the active adapter. */
  readonly adapter?: string;
  readonly seed?: number;
}

/** A checked routing policy. */
export interface CodaPolicy extends SoftTopKOptions {
  readonly kind: "coda";
  readonly reduction: number | readonly (number | null)[];
  readonly attention: RoutedAttention;
  readonly part: RoutedPart;
  readonly block: number | null;
  readonly router: Router;
  readonly weights: readonly Float32Array[] | null;
  readonly lambda: number | null;
  readonly adapter: string | null;
  readonly seed: number;
}

const KNOWN: ReadonlySet<string> = new Set([
  "reduction",
  "attention",
  "part",
  "block",
  "softTopK",
  "epsilon",
  "iterations",
  "epsilonStart",
  "epsilonDecay",
  "router",
  "weights",
  "lambda",
  "adapter",
  "seed",
]);

function refuse(field: string, value: unknown, expected: string): never {
  const found = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? "missing");
  throw new EngineError("BAD_CONFIG", `coda: ${field} is ${found}, expected ${expected}`, { where: `coda.${field}` });
}

function numberField(field: string, value: number, low: number, expected: string, whole = false): number {
  const good =
    typeof value === "number" && Number.isFinite(value) && value >= low && (!whole || Number.isInteger(value));
  return good ? value : refuse(field, value, expected);
}

function reductionField(value: CodaOptions["reduction"]): CodaOptions["reduction"] {
  const one = (factor: unknown, field: string): void => {
    if (typeof factor === "number" && Number.isFinite(factor) && factor >= 1) return;
    refuse(field, factor, "a number of at least 1");
  };
  if (!Array.isArray(value)) {
    one(value, "reduction");
    return value;
  }
  value.forEach((factor: unknown, layer) => {
    if (factor !== null) one(factor, `reduction[${layer}]`);
  });
  return [...(value as readonly (number | null)[])];
}

function choice<T extends string>(field: string, value: T, known: readonly T[]): T {
  return known.includes(value) ? value : refuse(field, value, known.join(" or "));
}

/** @returns a router object, named or given. */
function routerField(router: unknown, seed: number): Router {
  if (typeof router === "string") return routerNamed(router, seed);
  const given = router as Partial<Router> | null;
  const whole =
    typeof given === "object" &&
    given !== null &&
    typeof given.name === "string" &&
    typeof given.score === "function" &&
    typeof given.settings === "object" &&
    Array.isArray(given.vectors);
  return whole
    ? (given as Router)
    : refuse("router", router, "a name or an object with name, settings, vectors and score");
}

/**
 * Checks routing options and fills in the defaults.
 * @returns a policy for `model.setRouting`
 * @throws EngineError BAD_CONFIG naming the field
 * @example model.setRouting(coda({ reduction: 3, attention: "k-to-all" }));
 */
export function coda(options: CodaOptions): CodaPolicy {
  for (const field of Object.keys(options)) {
    if (!KNOWN.has(field))
      refuse(field, (options as unknown as Record<string, unknown>)[field], `one of ${[...KNOWN].join(", ")}`);
  }
  const seed = numberField("seed", options.seed ?? 0, 0, "a whole number from 0 and below 2^32", true);
  if (seed >= 2 ** 32) refuse("seed", seed, "a whole number from 0 and below 2^32");
  const router = routerField(options.router ?? "learned", seed);
  const block =
    options.block === undefined ? null : numberField("block", options.block, 1, "a whole number from 1", true);
  if (block !== null && [router.choose, router.rule, router.keys].some((own) => own !== undefined))
    refuse("block", block, `no block with the router ${router.name}, which does not select the k largest scores`);
  const part = choice("part", options.part ?? "layer", ["layer", "attention", "ffn"]);
  if (part === "ffn" && router.keys !== undefined)
    refuse("part", part, `layer or attention with the router ${router.name}`);
  const epsilon = numberField("epsilon", options.epsilon ?? 0.03, Number.MIN_VALUE, "a number above 0");
  const decay = numberField(
    "epsilonDecay",
    options.epsilonDecay ?? 0.7,
    Number.MIN_VALUE,
    "a number above 0 and at most 1",
  );
  return Object.freeze({
    kind: "coda",
    reduction: reductionField(options.reduction),
    attention: choice("attention", options.attention ?? "k-to-k", ["k-to-k", "k-to-all"]),
    part,
    block,
    softTopK: choice("softTopK", options.softTopK ?? "paper", ["paper", "exact"]),
    epsilon,
    iterations: numberField("iterations", options.iterations ?? 20, 1, "a whole number from 1", true),
    epsilonStart: numberField("epsilonStart", options.epsilonStart ?? 4, 0, "a number from 0"),
    epsilonDecay: decay <= 1 ? decay : refuse("epsilonDecay", decay, "a number above 0 and at most 1"),
    router,
    weights: options.weights ?? null,
    lambda: options.lambda === undefined ? null : numberField("lambda", options.lambda, 0, "a number from 0"),
    adapter: options.adapter ?? null,
    seed,
  });
}

/**
 * @returns the reduction factor of every layer, null where the layer is dense
 * @throws EngineError BAD_CONFIG when a list has another length than the host has layers
 */
export function reductions(policy: CodaPolicy, layers: number): readonly (number | null)[] {
  if (typeof policy.reduction === "number") return Array.from({ length: layers }, () => policy.reduction as number);
  if (policy.reduction.length === layers) return policy.reduction;
  const message = `coda: reduction lists ${policy.reduction.length} layers, the host has ${layers}`;
  throw new EngineError("BAD_CONFIG", message, { where: "coda.reduction" });
}
