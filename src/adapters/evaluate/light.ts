/**
 * @file The light path of a routed layer: the bottlenecks of a composition as functions of the layer's input, whatever sub-layer they
 * were made for, added up (MATHS §1.2 eq. 7). None has a skip of its own; every adapter of a stack reads the layer's input.
 */

import type { Value } from "../../graph/value.ts";
import { fill } from "../../ops/fill.ts";
import type { Path } from "../feeds.ts";
import { childrenOf } from "../feeds.ts";
import type { Program } from "../program.ts";
import type { Place } from "../structure.ts";
import { block, leafAt, upOutput } from "./bottleneck.ts";
import type { LeafAt, ResidualPlace } from "./bottleneck.ts";
import type { SiteContext } from "./context.ts";
import { unsupported } from "./context.ts";
import { fuseChildren } from "./fuse.ts";
import { standsAt } from "./residual.ts";

const PLACES: readonly Place[] = ["attention", "ffn", "layer"];

/** @returns base + A(x) with every bottleneck that the context's program has in a layer. */
export function evaluateLight(context: SiteContext, layer: number, x: Value, base: Value): Value {
  return PLACES.reduce((sum, place) => {
    const site: ResidualPlace = { place, layer, stream: x, norm: null, selection: null };
    return contribute(context, context.program, [], sum, site) ?? sum;
  }, base);
}

/** What a part of a program adds to a sum, which may be nothing yet; undefined where nothing stands at the site. */
function contribute(
  context: SiteContext,
  program: Program,
  path: Path,
  sum: Value | undefined,
  site: ResidualPlace,
): Value | undefined {
  if (!standsAt(program, site)) return sum;
  switch (program.kind) {
    case "none":
      return sum;
    case "leaf": {
      const leaf = leafAt(context, program, path, site) as LeafAt;
      // As a parallel one: what is there already is no part of what its norms see.
      return block(context, { ...leaf, structure: { ...leaf.structure, parallel: true } }, site.stream, sum);
    }
    case "copies":
    case "stack":
      return childrenOf(program).reduce<Value | undefined>(
        (total, child, index) => contribute(context, child, [...path, index], total, site),
        sum,
      );
    case "average":
      return program.children.reduce<Value | undefined>((total, child, index) => {
        const part = contribute(context, child, [...path, index], undefined, site);
        if (part === undefined) return total;
        const weight = context.weight(program, path, { child: index, factor: 1, rest: false });
        return context.addWeighted(total, part, weight, context.segmentsOf(program, path, site));
      }, sum);
    case "choose":
      return chosen(context, program, path, sum, site);
    case "fuse":
      return fused(context, program, path, sum, site);
  }
}

/** A segment without a slot gets nothing of a leaf, so plain groups need no mask; blends of several adapters do. */
function chosen(
  context: SiteContext,
  program: Extract<Program, { kind: "choose" }>,
  path: Path,
  sum: Value | undefined,
  site: ResidualPlace,
): Value | undefined {
  return childrenOf(program).reduce<Value | undefined>((total, child, group) => {
    const at = [...path, group];
    if (!blends(child)) return contribute(context, child, at, total, site);
    const part = contribute(context, child, at, undefined, site);
    if (part === undefined) return total;
    return context.addWeighted(
      total,
      part,
      context.mask(program, path, group),
      context.segmentsOf(program, path, site),
    );
  }, sum);
}

function blends(program: Program): boolean {
  return program.kind === "average" || program.kind === "fuse" || childrenOf(program).some(blends);
}

/** AdapterFusion of single adapters on the layer's input: query and values come from it, no residual among the values. */
function fused(
  context: SiteContext,
  program: Extract<Program, { kind: "fuse" }>,
  path: Path,
  sum: Value | undefined,
  site: ResidualPlace,
): Value | undefined {
  const at = context.fusionAt(program.fusion.name, site);
  if (at === null) return sum;
  if (program.children.some(({ kind }) => kind !== "leaf"))
    throw unsupported("fuse(...) of stacks on the light path of a routed layer: fuse single adapters there");
  const values = (): Value[] =>
    at.children.map((index) => {
      const leaf = leafAt(
        context,
        program.children[index] as Extract<Program, { kind: "leaf" }>,
        [...path, index],
        site,
      );
      return upOutput(context, leaf as LeafAt, site.stream);
    });
  const { choice } = at;
  const alone = { ...at, choice: { ...choice, shape: { ...choice.shape, residualBefore: false } } } as typeof at;
  const residual = sum ?? (context.b.op(fill, { x: site.stream }, { value: 0 }).y as Value);
  const inputs = { x: site.stream, query: site.stream, residual };
  return fuseChildren(context, { name: program.fusion.name, at: alone, site }, inputs, values);
}
