/**
 * @file Bottlenecks under a composition, the sane way: every leaf is a function of the current sub-layer output, the residual
 * stream stays fixed, and an adapter that is absent from a layer is the identity.
 */

import type { Bottleneck } from "./bottleneck.ts";
import { fusionName } from "./compose-compat.ts";
import type { SiteModules } from "./compose-compat.ts";
import { hostEnd } from "./host.ts";
import { add, at, need, scale } from "./rows.ts";
import type { Rows } from "./rows.ts";
import { childFor, lastName, leavesOf, splitParts } from "./setup-tree.ts";
import type { Block, Place, Tree } from "./setup-tree.ts";

/** The sub-layer output so far. `ends`: per row the last bottleneck that it went through. `up`: that one's scaled up-output. */
interface State {
  readonly out: Rows;
  readonly ends: readonly (Bottleneck | undefined)[];
  readonly up?: Rows;
}

/** A sub-layer from its output `f` and the residual stream `h` to the next residual stream. */
export function closeSane(tree: Tree, f: Rows, h: Rows, place: Place, site: SiteModules): Rows {
  const { out, ends } = run(tree, { out: f, ends: f.map(() => undefined) }, h, place, site);
  const closed = hostEnd(out, h, site.norm);
  return out.map((row, r) => (ends[r]?.originalLnAfter === false ? row : need(closed[r], "a row")));
}

function run(tree: Tree, state: State, h: Rows, place: Place, site: SiteModules): State {
  if (tree.kind === "leaf") return leaf(tree.name, state, h, site);
  switch (tree.kind) {
    case "stack":
      return tree.children.reduce((current, child) => run(child, current, h, place, site), state);
    case "fuse":
      return fuse(tree, state, h, place, site);
    case "split":
      return split(tree, state, h, place, site);
    case "average":
      return average(tree, state, h, place, site);
    default: {
      const own = childFor(tree, place);
      return run(own.child, state, h, own.place, site);
    }
  }
}

/** Sequential: `A(x) + res`. Parallel: `out + A(h)`. */
function leaf(name: string, state: State, h: Rows, site: SiteModules): State {
  const module = site.modules.get(name);
  if (module === undefined) return state;
  const { x, res } = module.before(state.out, h, site.norm);
  const up = module.up(x);
  const block = module.finish(up, x, res);
  return { out: module.parallel ? add(state.out, block) : block, ends: state.ends.map(() => module), up };
}

/** Absent children take no part; the last present one gives input, skip and query. */
function fuse(block: Block, state: State, h: Rows, place: Place, site: SiteModules): State {
  const here = (name: string): boolean => site.modules.has(name);
  const children = block.children.filter((child) => leavesOf(child).some(here));
  const last = children.flatMap((child) => leavesOf(child)).findLast(here);
  // The library makes fusion weights only where one of the adapters that name the fusion stands.
  if (last === undefined || !block.children.some((child) => here(lastName(child)))) return state;
  const module = need(site.modules.get(last), last);
  const fusion = site.fusion(fusionName(block));
  const { x, res } = module.before(state.out, h, site.norm);
  const ups = children.map((child) =>
    child.kind === "leaf"
      ? need(site.modules.get(child.name), child.name).up(x)
      : need(run(child, state, h, place, site).up, "an up-output"),
  );
  const query = fusion.queryBeforeLn && !module.parallel ? state.out : x;
  const out = fusion.mix(query, ups, module.parallel ? state.out : res);
  return { out, ends: state.ends.map(() => module) };
}

function split(block: Block, state: State, h: Rows, place: Place, site: SiteModules): State {
  const results = splitParts(block, state.out.length).map(([child, from, to]) => {
    const piece: State = { out: state.out.slice(from, to), ends: state.ends.slice(from, to) };
    return run(child, piece, h.slice(from, to), place, site);
  });
  return { out: results.flatMap(({ out }) => [...out]), ends: results.flatMap(({ ends }) => [...ends]) };
}

/** `Σ w_i child_i(out)`; a row that some children close and others do not is closed for all before it is weighed. */
function average(block: Block, state: State, h: Rows, place: Place, site: SiteModules): State {
  const results = block.children.map((child) => run(child, state, h, place, site));
  const closes = (result: State, r: number): boolean => result.ends[r]?.originalLnAfter === false;
  const closings = state.out.map((_, r) => results.find((result) => closes(result, r)));
  const ended = results.map((result) => {
    const end = hostEnd(result.out, h, site.norm);
    return result.out.map((row, r) => (closings[r] === undefined || closes(result, r) ? row : need(end[r], "a row")));
  });
  const out = ended.map((rows, i) => scale(rows, at(block.parts, i))).reduce((sum, part) => add(sum, part));
  return { out, ends: closings.map((closing, r) => closing?.ends[r]) };
}
