/** @file Bottlenecks under a composition exactly as the library 1.2.0 runs them, quirks included (MATHS §2.5). */

import type { Bottleneck } from "./bottleneck.ts";
import type { Fusion } from "./fusion.ts";
import { hostEnd } from "./host.ts";
import type { Norm } from "./host.ts";
import { add, at, need, scale } from "./rows.ts";
import type { Rows } from "./rows.ts";
import { childFor, copiesOf, firstName, lastName, leavesOf, splitParts } from "./setup-tree.ts";
import type { Block, Place, Tree } from "./setup-tree.ts";

/** What stands at one layer and site. */
export interface SiteModules {
  /** The bottlenecks that are here, by adapter. */
  readonly modules: ReadonlyMap<string, Bottleneck>;
  readonly norm: Norm;
  /** The fusion of these names, joined by commas. */
  readonly fusion: (name: string) => Fusion;
}

/** The name under which a fusion block's weights are kept. */
export function fusionName(block: Block): string {
  return block.children.map((child) => lastName(child)).join(",");
}

/** What passes from block to block. */
interface State {
  readonly x: Rows;
  readonly h: Rows;
  readonly res: Rows;
  readonly up?: Rows;
  readonly last?: string;
}

/** A sub-layer from its output `f` and the residual stream `h` to the next residual stream. */
export function closeCompat(tree: Tree, f: Rows, h: Rows, place: Place, site: SiteModules): Rows {
  if (!leavesOf(tree).some((name) => site.modules.has(name))) return hostEnd(f, h, site.norm);
  const { x, last } = run(tree, { x: f, h, res: h }, place, site);
  const module = moduleOf(site, need(last, "the last adapter"));
  if (module.parallel && copiesOf(tree) > 1 && place.count > 1) {
    throw new Error("oracle: upstream adds the un-repeated output to the repeated batch, which fits for batch 1 only");
  }
  const y = module.parallel ? add(x, f) : x;
  return module.originalLnAfter ? hostEnd(y, h, site.norm) : y;
}

function moduleOf(site: SiteModules, name: string): Bottleneck {
  return need(site.modules.get(name), `${name}, which upstream needs in this layer`);
}

function run(tree: Tree, state: State, place: Place, site: SiteModules): State {
  if (tree.kind === "leaf") return single(tree.name, state, site);
  switch (tree.kind) {
    case "stack":
      return stack(tree, state, place, site);
    case "fuse":
      return fuse(tree, state, place, site);
    case "split":
      return split(tree, state, place, site);
    case "average":
      return average(tree, state, place, site);
    default:
      return oneOf(tree, state, place, site);
  }
}

/** The pre step of one adapter's configuration. */
function pre(name: string, state: State, site: SiteModules): State {
  return { ...state, ...moduleOf(site, name).before(state.x, state.h, site.norm) };
}

function single(name: string, state: State, site: SiteModules): State {
  const module = moduleOf(site, name);
  const up = module.up(state.x);
  return { ...state, x: module.finish(up, state.x, state.res), up, last: name };
}

function stack(block: Block, start: State, place: Place, site: SiteModules): State {
  let state = start;
  for (const child of block.children) {
    if (child.kind !== "leaf") state = run(child, state, place, site);
    else if (site.modules.has(child.name)) state = single(child.name, pre(child.name, state, site), site);
  }
  return state;
}

function present(block: Block, site: SiteModules): readonly Tree[] {
  return block.children.filter((child) => child.kind !== "leaf" || site.modules.has(child.name));
}

/** The last adapter's configuration gives input, skip and query; nested stacks pre-process once more. */
function fuse(block: Block, start: State, place: Place, site: SiteModules): State {
  const last = lastName(block);
  const fusion = site.fusion(fusionName(block));
  const state = pre(last, start, site);
  const query = fusion.queryBeforeLn && !moduleOf(site, last).parallel ? start.x : state.x;
  const ups = present(block, site).map((child) => need(run(child, state, place, site).up, "an up-output"));
  return { ...state, x: fusion.mix(query, ups, state.res), last };
}

function split(block: Block, start: State, place: Place, site: SiteModules): State {
  const parts = splitParts(block, start.x.length);
  const state = pre(firstName(block), start, site);
  const results = parts
    .filter(([child]) => child.kind !== "leaf" || site.modules.has(child.name))
    .map(([child, from, to]) => {
      const piece: State = {
        x: state.x.slice(from, to),
        h: state.h.slice(from, to),
        res: state.res.slice(from, to),
        ...(state.up === undefined ? {} : { up: state.up.slice(from, to) }),
      };
      return run(child, piece, place, site);
    });
  const last = results.flatMap((result) => result.last ?? []).at(-1);
  return { ...state, x: results.flatMap((result) => [...result.x]), ...(last === undefined ? {} : { last }) };
}

/** The mean over the children on top of their weights: 1/N² of the sum where weights are equal. */
function average(block: Block, start: State, place: Place, site: SiteModules): State {
  const state = pre(firstName(block), start, site);
  if (present(block, site).length !== block.children.length) {
    throw new Error("oracle: upstream's weights do not fit where an averaged adapter is absent");
  }
  const results = block.children.map((child) => run(child, state, place, site));
  const x = results
    .map((result, i) => scale(result.x, at(block.parts, i) / results.length))
    .reduce((sum, part) => add(sum, part));
  const last = results.at(-1)?.last;
  return { ...need(results[0], "a child"), x, ...(last === undefined ? {} : { last }) };
}

/** Batch split and parallel: the first child prepares, each sequence takes its own, the last child closes. */
function oneOf(block: Block, start: State, place: Place, site: SiteModules): State {
  const state = pre(firstName(block), start, site);
  const names = block.children.map((child) => leavesOf(child).findLast((name) => site.modules.has(name)));
  if (names.includes(undefined)) throw new Error(`oracle: upstream fails where a child of a ${block.kind} is absent`);
  const own = childFor(block, place);
  return { ...run(own.child, state, own.place, site), last: need(names.at(-1), "the last adapter") };
}
