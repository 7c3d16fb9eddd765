/**
 * @file A composition at a residual site as the `adapters` library, version 1.2, computes it, quirks included (MATHS §2.5): blocks
 * prepare their input by their first adapter and close by their last one, a stack inside a block prepares a second time,
 * an average divides by N once more, parallel bottlenecks forget what came before them.
 */

import type { Value } from "../../graph/value.ts";
import type { Path } from "../feeds.ts";
import { childrenOf } from "../feeds.ts";
import type { Program } from "../program.ts";
import { leaves } from "../program-leaves.ts";
import type { BottleneckStructure } from "../structure.ts";
import { before, block, bottleneckAt, closeSubLayer, leafAt, upOutput } from "./bottleneck.ts";
import type { LeafAt, ResidualPlace } from "./bottleneck.ts";
import type { SiteContext } from "./context.ts";
import { unsupported } from "./context.ts";
import { fuseChildren } from "./fuse.ts";
import { standsAt } from "./residual.ts";

/** Upstream's state: the running value, what an adapter adds as its skip, and the up-output of the last one. */
interface State {
  readonly hidden: Value;
  readonly skip: Value;
  readonly up: Value | null;
}

type Walk = (program: Program, path: Path, state: State) => State;

function structuresAt(program: Program, site: ResidualPlace): BottleneckStructure[] {
  return leaves(program).flatMap((leaf) => bottleneckAt(leaf, site) ?? []);
}

/** The stream after a sub-layer with output f, as upstream has it. */
export function evaluateCompat(context: SiteContext, f: Value, site: ResidualPlace): Value {
  const all = structuresAt(context.program, site);
  const last = lastStructure(context, context.program, site);
  if (all.length === 0 || last === undefined) return closeSubLayer(context, f, site);
  const { hidden } = walk(context, context.program, [], { hidden: f, skip: site.stream, up: null }, site);
  const value = last.parallel ? context.add(hidden, f) : hidden;
  return last.originalAfter ? closeSubLayer(context, value, site) : value;
}

/** The structure whose configuration closes the sub-layer: the last adapter in order of writing. */
function lastStructure(context: SiteContext, program: Program, site: ResidualPlace): BottleneckStructure | undefined {
  if (program.kind === "choose")
    return lastStructure(context, program.last, site) ?? structuresAt(program, site).at(-1);
  if (program.kind === "none" || program.kind === "leaf") return structuresAt(program, site).at(-1);
  return kept(context, program, site)
    .map((child) => lastStructure(context, child, site))
    .findLast((one) => one !== undefined);
}

/** The children of a block; of a fusion those that were not pruned. */
function kept(context: SiteContext, program: Program, site: ResidualPlace): readonly Program[] {
  const children = childrenOf(program);
  return program.kind === "fuse" ? context.keptAt(program, site).map((index) => children[index] as Program) : children;
}

function prepare(context: SiteContext, structure: BottleneckStructure, state: State, site: ResidualPlace): State {
  const { x, res } = before(context, structure, state.hidden, site);
  return { hidden: x, skip: res, up: state.up };
}

function walk(context: SiteContext, program: Program, path: Path, state: State, site: ResidualPlace): State {
  if (!standsAt(program, site)) return state;
  const go: Walk = (child, at, from) => walk(context, child, at, from, site);
  switch (program.kind) {
    case "none":
      return state;
    case "leaf":
      return single(context, leafAt(context, program, path, site) as LeafAt, state);
    case "copies":
      return go(program.program, [...path, 0], state);
    case "stack":
      return program.children.reduce((current, child, index) => {
        const at = [...path, index];
        if (child.kind !== "leaf") return go(child, at, current);
        const structure = bottleneckAt(child, site);
        return structure === null ? current : go(child, at, prepare(context, structure, current, site));
      }, state);
    case "fuse":
      return fuse(context, program, path, state, { site, go });
    case "average":
      return average(context, program, path, state, { site, go });
    case "choose":
      return choose(context, program, path, state, { site, go });
  }
}

/** An adapter on what was prepared for it. A parallel one has no skip of its own. */
function single(context: SiteContext, leaf: LeafAt, { hidden, skip }: State): State {
  const out = block(context, leaf, hidden, leaf.structure.parallel ? undefined : skip);
  return { hidden: out, skip, up: upOutput(context, leaf, hidden) };
}

function first(program: Program, site: ResidualPlace): BottleneckStructure {
  return structuresAt(program, site)[0] as BottleneckStructure;
}

interface At {
  readonly site: ResidualPlace;
  readonly go: Walk;
}

function fuse(
  context: SiteContext,
  program: Extract<Program, { kind: "fuse" }>,
  path: Path,
  state: State,
  { site, go }: At,
): State {
  const at = context.fusionAt(program.fusion.name, site);
  const end = kept(context, program, site)
    .flatMap((child) => structuresAt(child, site))
    .at(-1);
  if (at === null || end === undefined) return state;
  const prepared = prepare(context, end, state, site);
  const own = end.parallel || !context.queryBeforeNorm(program.fusion.name);
  const query = own ? prepared.hidden : state.hidden;
  const children = (): Value[] =>
    at.children.map((index) => go(program.children[index] as Program, [...path, index], prepared).up as Value);
  const inputs = { x: prepared.hidden, query, residual: prepared.skip };
  return { ...prepared, hidden: fuseChildren(context, { name: program.fusion.name, at, site }, inputs, children) };
}

function average(
  context: SiteContext,
  program: Extract<Program, { kind: "average" }>,
  path: Path,
  state: State,
  { site, go }: At,
): State {
  const prepared = prepare(context, first(program, site), state, site);
  const segments = context.segmentsOf(program, path, site);
  const factor = 1 / program.children.length;
  const sum = program.children.reduce<Value | undefined>((total, child, index) => {
    const { hidden } = go(child, [...path, index], prepared);
    return context.addWeighted(
      total,
      hidden,
      context.weight(program, path, { child: index, factor, rest: false }),
      segments,
    );
  }, undefined);
  return { ...prepared, hidden: sum as Value };
}

function choose(
  context: SiteContext,
  program: Extract<Program, { kind: "choose" }>,
  path: Path,
  state: State,
  { site, go }: At,
): State {
  if (program.groups.some(({ program: child }) => !standsAt(child, site)) || !program.covers)
    throw unsupported(
      "compat: a split, batch split or parallel block with a child that a layer lacks; the library fails on it",
    );
  const start = first(standsAt(program.first, site) ? program.first : program, site);
  const prepared = prepare(context, start, state, site);
  const results = program.groups.map(({ program: child }, index) => go(child, [...path, index], prepared).hidden);
  const segments = context.segmentsOf(program, path, site);
  const hidden = results.reduce((chosen, value, index) =>
    context.choose(chosen, value, context.mask(program, path, index), segments),
  );
  return { ...prepared, hidden };
}
