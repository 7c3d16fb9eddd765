/**
 * @file A composition at a residual site. Every adapter is a function of the sub-layer's output so far, the residual stream
 * being fixed: a stack applies one after the other, an average weighs their results, a choice takes one per segment, and
 * the last adapter says how the host closes the sub-layer (MATHS §2.3, §2.5).
 */

import type { Value } from "../../graph/value.ts";
import type { Selection } from "../../sites/site.ts";
import type { Path } from "../feeds.ts";
import { childrenOf } from "../feeds.ts";
import type { Program } from "../program.ts";
import type { ProgramLeaf } from "../program-leaves.ts";
import { leaves } from "../program-leaves.ts";
import { before, block, bottleneckAt, closeSubLayer, isTransparent, leafAt } from "./bottleneck.ts";
import type { ResidualPlace } from "./bottleneck.ts";
import { unsupported } from "./context.ts";
import type { SiteContext } from "./context.ts";
import { evaluateFuse } from "./fuse.ts";
import type { Evaluate, SubLayer } from "./fuse.ts";

/** @returns true when something of the program stands at the site. */
export function standsAt(program: Program, site: ResidualPlace): boolean {
  return leaves(program).some((leaf) => bottleneckAt(leaf, site) !== null);
}

/** The result of a layer with what stands around it: output + A(input), for the rows of a selection or for all. */
export function evaluateLayerSite(
  context: SiteContext,
  layer: number,
  input: Value,
  output: Value,
  selection: Selection | null = null,
): Value {
  const site: ResidualPlace = { place: "layer", layer, stream: input, norm: null, selection };
  return evaluate(context, context.program, [], { out: output, open: true }, site).out;
}

/** The stream after a sub-layer with output f. */
export function evaluateResidual(context: SiteContext, f: Value, site: ResidualPlace): Value {
  return closed(context, evaluate(context, context.program, [], { out: f, open: true }, site), site);
}

/** The stream that a state ends in. */
function closed(context: SiteContext, { out, open }: SubLayer, site: ResidualPlace): Value {
  if (typeof open === "function") return open();
  return open ? closeSubLayer(context, out, site) : out;
}

/** The end that states have in common, or null. */
function commonEnd(states: readonly SubLayer[]): boolean | null {
  const [first] = states as [SubLayer];
  return typeof first.open === "boolean" && states.every(({ open }) => open === first.open) ? first.open : null;
}

/** Runs a part of a program. Parts with nothing at the site change nothing. */
export function evaluate(
  context: SiteContext,
  program: Program,
  path: Path,
  state: SubLayer,
  site: ResidualPlace,
): SubLayer {
  if (!standsAt(program, site)) return state;
  const go: Evaluate = (child, at, from) => evaluate(context, child, at, from, site);
  switch (program.kind) {
    case "none":
      return state;
    case "leaf":
      return evaluateLeaf(context, program, path, state, site);
    case "copies":
      return go(program.program, [...path, 0], state);
    case "stack":
      return program.children.reduce((current, child, index) => go(child, [...path, index], current), state);
    case "average":
      return evaluateAverage(context, program, path, state, site);
    case "choose":
      return evaluateChoose(context, program, path, state, site);
    case "fuse":
      return evaluateFuse(context, program, path, state, { site, go });
  }
}

function evaluateLeaf(
  context: SiteContext,
  leaf: ProgramLeaf,
  path: Path,
  { out }: SubLayer,
  site: ResidualPlace,
): SubLayer {
  const at = leafAt(context, leaf, path, site);
  if (at === null) return { out, open: true };
  const { parallel, originalAfter } = at.structure;
  const { x, res } = before(context, at.structure, out, site);
  // A parallel bottleneck adds to what is there; it has no skip of its own.
  return { out: block(context, at, x, parallel ? out : res), open: originalAfter };
}

/** Σ w_i of the results; where some close the sub-layer themselves and others do not, all are closed before. */
function evaluateAverage(
  context: SiteContext,
  program: Extract<Program, { kind: "average" }>,
  path: Path,
  state: SubLayer,
  site: ResidualPlace,
): SubLayer {
  const states = program.children.map((child, index) => evaluate(context, child, [...path, index], state, site));
  if (states.some(({ open }) => typeof open === "function"))
    throw unsupported("average(...) of a block whose adapters differ in original_ln_after");
  const common = commonEnd(states);
  const outs = states.map((one) => (common === null ? closed(context, one, site) : one.out));
  const segments = context.segmentsOf(program, path, site);
  const weigh = (child: number): Value => context.weight(program, path, { child, factor: 1, rest: false });
  const sum = outs.reduce<Value | undefined>(
    (total, out, child) => context.addWeighted(total, out, weigh(child), segments),
    undefined,
  );
  return { out: sum as Value, open: common ?? false };
}

/** Every segment takes the result of its group; one that belongs to none keeps the state. */
function evaluateChoose(
  context: SiteContext,
  program: Extract<Program, { kind: "choose" }>,
  path: Path,
  state: SubLayer,
  site: ResidualPlace,
): SubLayer {
  const here = childrenOf(program)
    .map((child, group) => ({ child, group, path: [...path, group] }))
    .filter(({ child }) => standsAt(child, site));
  const alone = here.length === 1 && program.groups.length === 1 && program.covers;
  if (alone || here.every(({ child }) => state.open === true && transparent(child, site))) {
    return here.reduce((current, { child, path: at }) => evaluate(context, child, at, current, site), state);
  }
  const results = here.map(({ child, path: at }) => evaluate(context, child, at, state, site));
  const covered = program.covers && here.length === program.groups.length;
  const [base, ...others] = covered ? results : [state, ...results];
  const groups = covered ? here.slice(1) : here;
  const segments = context.segmentsOf(program, path, site);
  const pick = (valueOf: (from: SubLayer) => Value): Value =>
    others.reduce(
      (chosen, other, index) => {
        const mask = context.mask(program, path, (groups[index] as (typeof groups)[number]).group);
        return context.choose(chosen, valueOf(other), mask, segments);
      },
      valueOf(base as SubLayer),
    );
  const open = commonEnd([base as SubLayer, ...others]) ?? (() => pick((from) => closed(context, from, site)));
  return { out: pick(({ out }) => out), open };
}

/** A program of transparent leaves changes nothing in segments without a slot. */
function transparent(program: Program, site: ResidualPlace): boolean {
  if (program.kind === "average" || program.kind === "fuse") return false;
  if (program.kind === "leaf") {
    const structure = bottleneckAt(program, site);
    return structure === null || isTransparent(structure);
  }
  return childrenOf(program).every((child) => transparent(child, site));
}
