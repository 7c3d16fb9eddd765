/** @file The choice of a routed layer as graph values: score, weigh, select; and how its heavy path joins the light one (MATHS §1.2). */

import { EngineError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { fill } from "../ops/fill.ts";
import { runtimeDim } from "../ops/op.ts";
import type { Dim } from "../ops/op.ts";
import { rowPlaces } from "../ops/row-places.ts";
import { scatterAddRows } from "../ops/scatter-add-rows.ts";
import { topK } from "../ops/top-k.ts";
import type { CodaPolicy } from "./coda.ts";
import type { ChosenRows, RouterSite, Scored } from "./router.ts";
import { blockTable, keysTable, selectionDim, selectionTable } from "./selection.ts";
import type { BlockTable, SelectionName, SelectionRule } from "./selection.ts";

/** The choice of one router: rows with their places, λ of every row before masking (eq. 4), scores of every row (eq. 2). */
export interface Selected extends ChosenRows, Scored {}

/** The choice of one layer. */
export interface Route extends Selected {
  /** Rows of which keys and values are made, where a router of their own chooses them. */
  readonly keys: Selected | null;
}

/** Where a choice is made. */
export interface RouteSite {
  readonly layer: number;
  readonly reduction: number;
  /** What stands before run-time names of the stage. */
  readonly prefix?: string;
  /** The run-time number of sequences. */
  readonly sequences: Dim;
}

/** Name of a trained vector of a layer's router. */
export function routerName(layer: number, vector = "score"): string {
  return vector === "score" ? `routers.${layer}` : `routers.${layer}.${vector}`;
}

/** What a router sees, and the offsets of the selected rows of every sequence. */
interface Prepared {
  readonly site: RouterSite;
  readonly name: SelectionName;
  /** Null where the choice itself finds them. */
  readonly perSequence: Value | null;
}

function prepare(
  b: GraphBuilder,
  x: Value,
  segments: Value,
  policy: CodaPolicy,
  at: RouteSite & { readonly rule: SelectionRule },
): Prepared {
  const { layer, rule, prefix = "", sequences } = at;
  const { softTopK, epsilon, iterations, epsilonStart, epsilonDecay } = policy;
  const name = { prefix, rule };
  const block = rule.kind === "reduced" ? rule.block : null;
  const offsets = segments.type.shape[0] as Dim;
  const width = x.type.shape[1] as number;
  const table = (of: SelectionName, what: "segments" | "cuts", dim: Dim): Value =>
    b.input(selectionTable(of, what), [dim], "u32");
  // Rows that the GPU counts have a capacity that the host knows: that of the plain rule.
  const plain = { prefix, rule: { kind: "reduced", reduction: at.reduction, block: null } as const };
  const perSequence = rule.kind === "reduced" ? table(name, "segments", offsets) : null;
  const blocks = (what: BlockTable): string => blockTable(prefix, block as number, what);
  const cut = block === null ? null : runtimeDim(blocks("offsets"));
  const site: RouterSite = {
    b,
    x,
    layer,
    segments: cut === null ? segments : b.input(blocks("segments"), [cut], "u32"),
    selectedSegments: cut === null ? (perSequence ?? table(plain, "segments", offsets)) : table(name, "cuts", cut),
    options: { softTopK, epsilon, iterations, epsilonStart, epsilonDecay },
    vector: (vector) => b.parameter(routerName(layer, vector), [width]),
    keys: () =>
      cut === null
        ? b.input(keysTable(prefix), [sequences], "u32")
        : b.input(blocks("keys"), [runtimeDim(blocks("count"))], "u32"),
  };
  return { site, name, perSequence };
}

/** The k largest scores of every segment, ties to the lower row. */
function chooseLargest({ site, name, perSequence }: Prepared, { scores }: Scored, sequences: Value): ChosenRows {
  const { b, segments, selectedSegments } = site;
  const inputs = { scores, segments, selected_segments: selectedSegments };
  const chosen = b.op(topK, inputs, { count: selectionDim(name).symbol });
  const rows = chosen.rows as Value;
  // The places that top-k gives are those in its own segments: in blocks, where a sequence has several.
  const inBlocks = segments !== sequences;
  const positions = inBlocks ? b.op(rowPlaces, { rows, segments: sequences }, {}).y : chosen.positions;
  return {
    rows,
    positions: positions as Value,
    segments: perSequence as Value,
    invalid: chosen.invalid as Value,
  };
}

/** What a router must bring to carry out a rule of its own. */
const NEEDED: Readonly<Record<SelectionRule["kind"], readonly ("choose" | "given")[]>> = {
  reduced: [],
  counted: ["choose"],
  given: ["choose", "given"],
};

function ruleOf({ router, block }: CodaPolicy, at: RouteSite): SelectionRule {
  const rule = router.rule?.(at) ?? { kind: "reduced", reduction: at.reduction, block };
  const missing = NEEDED[rule.kind].filter((part) => router[part] === undefined);
  if (missing.length === 0) return rule;
  const message = `coda: the router ${router.name} has a rule of the kind "${rule.kind}" without ${missing.join(" and ")}`;
  throw new EngineError("BAD_CONFIG", message, { where: "coda.router", fix: "bring what carries the rule out" });
}

/**
 * Scores the rows of a layer, weighs them and selects some of every sequence.
 * @throws EngineError BAD_CONFIG for a router whose rule lacks what carries it out
 */
export function route(b: GraphBuilder, x: Value, segments: Value, policy: CodaPolicy, at: RouteSite): Route {
  const { router, lambda } = policy;
  const prepared = prepare(b, x, segments, policy, { ...at, rule: ruleOf(policy, at) });
  const scored = router.score(prepared.site);
  const selection = { ...prepared.site, ...prepared.name };
  const chosen = router.choose?.(selection, scored) ?? chooseLargest(prepared, scored, segments);
  const weights = lambda === null ? scored.weights : (b.op(fill, { x }, { value: lambda, axes: 1 }).y as Value);
  const keys = router.keys === undefined ? null : routeKeys(b, x, segments, policy, at);
  return { ...scored, ...chosen, weights, keys };
}

function routeKeys(b: GraphBuilder, x: Value, segments: Value, policy: CodaPolicy, at: RouteSite): Selected {
  const { reduction, score } = policy.router.keys as NonNullable<CodaPolicy["router"]["keys"]>;
  const rule = { kind: "reduced", reduction: reduction ?? at.reduction, block: null } as const;
  const prepared = prepare(b, x, segments, policy, { ...at, rule });
  const scored = score(prepared.site);
  return { ...scored, ...chooseLargest(prepared, scored, segments) };
}

/** Y = X + A(Xn) + m ⊙ PᵀΔ (eq. 11), where `base` is X + A(Xn) and `delta` the heavy path of the selected rows. */
export function combine(b: GraphBuilder, base: Value, delta: Value, chosen: Selected): Value {
  return b.op(scatterAddRows, { base, x: delta, rows: chosen.rows, weight: chosen.weights }, {}).y as Value;
}
