/**
 * @file AdapterFusion at a residual site (MATHS §2.4). The last adapter's configuration says what all children read, what
 * the query is and what is skipped; a nested stack brings its own input and gives the up-output of its last adapter.
 */

import type { Value } from "../../graph/value.ts";
import { buildFoldedFusion, buildUnfoldedFusion } from "../fusion-build.ts";
import type { Fused } from "../fusion-build.ts";
import { buildTrainedFusion } from "../fusion-trained.ts";
import type { FusionSite } from "../fusion-sites.ts";
import type { Path } from "../feeds.ts";
import type { Program } from "../program.ts";
import { leaves } from "../program-leaves.ts";
import { before, bottleneckAt, leafAt, upOutput } from "./bottleneck.ts";
import type { LeafAt, ResidualPlace } from "./bottleneck.ts";
import type { SiteContext } from "./context.ts";

/** A sub-layer under way. */
export interface SubLayer {
  /** The output so far. */
  readonly out: Value;
  /** The host's add and norm are still to come: of all segments, of none, or of some, closed by a call. */
  readonly open: boolean | (() => Value);
}

/** Runs a part of a program from a state on. */
export type Evaluate = (program: Program, path: Path, state: SubLayer) => SubLayer;

type FuseNode = Extract<Program, { kind: "fuse" }>;

/** What a fusion reads, asks with and skips. */
export interface FusionInputs {
  readonly x: Value;
  readonly query: Value;
  readonly residual: Value;
}

/** The last leaf of a child that stands at the site, with its path; null without one. */
export function lastLeaf(context: SiteContext, child: Program, path: Path, site: ResidualPlace): LeafAt | null {
  if (child.kind === "leaf") return leafAt(context, child, path, site);
  if (child.kind !== "stack") return null;
  const found = child.children.map((one, index) => lastLeaf(context, one, [...path, index], site));
  return found.findLast((one) => one !== null) ?? null;
}

/** A fusion in the form that its site has. The scores of one that is trained have factors where the step leaves some out. */
function fusedBy(
  context: SiteContext,
  { name, at, site }: FusionAt,
  inputs: FusionInputs,
  children: () => readonly Value[],
): Fused {
  const { b } = context;
  const { x, query, residual } = inputs;
  const own = { x, ...(query === x ? {} : { query }), residual };
  if (at.form === "folded") return buildFoldedFusion(b, own, at.choice);
  const drawn = at.form === "trained" || at.held === true;
  const factor = drawn ? context.fusionFactor(name, x, at.children.length, site) : undefined;
  if (at.form === "trained") return buildTrainedFusion(b, { ...own, factor }, at.choice);
  return buildUnfoldedFusion(b, { children: children(), query, residual, factor }, at.choice);
}

/** A fusion at a site. */
export interface FusionAt {
  readonly name: string;
  readonly at: FusionSite;
  readonly site: ResidualPlace;
}

/** Runs the fusion with its children's up-outputs, and names its weights for capture. */
export function fuseChildren(
  context: SiteContext,
  fusion: FusionAt,
  inputs: FusionInputs,
  children: () => readonly Value[],
): Value {
  const fused = fusedBy(context, fusion, inputs, children);
  context.b.name(fusion.site.place === "ffn" ? "fusion.weights" : "attention.fusion.weights", fused.weights);
  return fused.y;
}

/** A fusion with the sane reading: parallel adapters add to the output that is there, a stack reads it once. */
export function evaluateFuse(
  context: SiteContext,
  program: FuseNode,
  path: Path,
  state: SubLayer,
  { site, go }: { readonly site: ResidualPlace; readonly go: Evaluate },
): SubLayer {
  const at = context.fusionAt(program.fusion.name, site);
  if (at === null) return state;
  const end = context
    .keptAt(program, site)
    .map((index) => lastLeaf(context, program.children[index] as Program, [...path, index], site))
    .findLast((leaf) => leaf !== null);
  if (end === null || end === undefined) return state;
  const { structure } = end;
  const { x, res } = before(context, structure, state.out, site);
  const query = structure.parallel ? site.stream : context.queryBeforeNorm(program.fusion.name) ? state.out : x;
  const residual = structure.parallel ? state.out : res;
  const values = (): Value[] =>
    at.children.map((index) =>
      childUp(context, program.children[index] as Program, [...path, index], { state, x }, { site, go }),
    );
  const fused = fuseChildren(context, { name: program.fusion.name, at, site }, { x, query, residual }, values);
  return { out: fused, open: structure.originalAfter };
}

/** v of a child: of a single adapter on the fusion's x; of a stack, of its last one after the others have run. */
function childUp(
  context: SiteContext,
  child: Program,
  path: Path,
  from: { readonly state: SubLayer; readonly x: Value },
  { site, go }: { readonly site: ResidualPlace; readonly go: Evaluate },
): Value {
  if (child.kind === "leaf") return upOutput(context, leafAt(context, child, path, site) as LeafAt, from.x);
  const stack = child as Extract<Program, { kind: "stack" }>;
  const present = stack.children
    .map((one, index) => ({ one, index }))
    .filter(({ one }) => leaves(one).some((leaf) => bottleneckAt(leaf, site) !== null));
  const last = present.at(-1) as (typeof present)[number];
  const reached = present.slice(0, -1).reduce((state, { one, index }) => go(one, [...path, index], state), from.state);
  const leaf = lastLeaf(context, last.one, [...path, last.index], site) as LeafAt;
  return upOutput(context, leaf, before(context, leaf.structure, reached.out, site).x);
}
