/** @file Methods on a linear map under a composition, in the library's way and in the sane one. */

import type { Rows } from "./rows.ts";
import { add, at, need, scale, scaleColumns, zip } from "./rows.ts";
import { applyMethod, combine, factorOf } from "./linear-methods.ts";
import type { LinearMethod } from "./linear-methods.ts";
import { childFor, leavesOf, splitParts } from "./setup-tree.ts";
import type { Block, Place, Tree } from "./setup-tree.ts";

/** The methods on one map, by adapter. */
export type LinearModules = ReadonlyMap<string, LinearMethod>;

/** Each leaf is a function of the map's output: a stack applies them in turn, an average weighs their changes. */
export function linearSane(tree: Tree, x: Rows, y: Rows, place: Place, modules: LinearModules): Rows {
  if (!touches(tree, modules)) return y;
  if (tree.kind === "leaf") return applyMethod(need(modules.get(tree.name), tree.name), x, y);
  switch (tree.kind) {
    case "stack":
      return tree.children.reduce((current, child) => linearSane(child, x, current, place, modules), y);
    case "fuse":
      throw new Error("oracle: a fusion mixes bottlenecks only");
    case "split":
      return splitParts(tree, x.length).flatMap(([child, from, to]) => [
        ...linearSane(child, x.slice(from, to), y.slice(from, to), place, modules),
      ]);
    case "average":
      return tree.children.reduce((sum, child, i) => {
        const change = zip(linearSane(child, x, y, place, modules), y, (a, b) => a - b);
        return add(sum, scale(change, at(tree.parts, i)));
      }, y);
    default: {
      const own = childFor(tree, place);
      return linearSane(own.child, x, y, own.place, modules);
    }
  }
}

function touches(tree: Tree, modules: LinearModules): boolean {
  return leavesOf(tree).some((name) => modules.has(name));
}

/** What passes from block to block: nothing yet, or what the last method made. */
interface State {
  readonly made?: Rows;
  readonly last?: string;
}

/**
 * Function composition: a method reads what the one before it made, and only the last one's is put onto the map's output,
 * in the last one's way.
 */
export function linearCompat(tree: Tree, x: Rows, y: Rows, place: Place, modules: LinearModules): Rows {
  if (!touches(tree, modules)) return y;
  const { made, last } = run(tree, x, {}, place, modules);
  return combine(need(modules.get(need(last, "the last method")), "the last method"), y, need(made, "a change"));
}

/** GPT-2's fused matrix knows no composition: one adapter at a time. */
export function linearFusedCompat(tree: Tree, x: Rows, y: Rows, modules: LinearModules): Rows {
  const [only] = tree.kind === "leaf" ? [tree] : tree.children;
  if (only?.kind !== "leaf" || leavesOf(tree).length > 1) {
    throw new Error("oracle: upstream takes one adapter at a time on a fused matrix");
  }
  const method = modules.get(only.name);
  return method === undefined ? y : applyMethod(method, x, y);
}

function run(tree: Tree, x: Rows, state: State, place: Place, modules: LinearModules): State {
  if (tree.kind === "leaf") return single(tree.name, x, state, modules);
  const here = (child: Tree): boolean => child.kind !== "leaf" || modules.has(child.name);
  switch (tree.kind) {
    case "stack":
      return tree.children
        .filter((child) => here(child))
        .reduce((current, child) => run(child, x, current, place, modules), state);
    case "fuse":
    case "split":
      if (touches(tree, modules)) throw new Error(`oracle: upstream has no ${tree.kind} on linear maps`);
      return state;
    case "average":
      return average(tree, x, state, place, modules);
    default: {
      const names = tree.children.map((child) => leavesOf(child).findLast((name) => modules.has(name)));
      if (names.includes(undefined))
        throw new Error(`oracle: upstream fails where a child of a ${tree.kind} is absent`);
      const own = childFor(tree, place);
      return { ...run(own.child, x, state, own.place, modules), last: need(names.at(-1), "the last method") };
    }
  }
}

function single(name: string, x: Rows, state: State, modules: LinearModules): State {
  const method = need(modules.get(name), name);
  const factor = factorOf(method, x);
  if (method.kind === "add") return { made: scale(method.raw(state.made ?? x), factor), last: name };
  const vector = method.deltaWeight.data;
  const made = state.made ?? x.map(() => new Float64Array(vector.length).fill(1));
  return { made: scale(scaleColumns(made, vector), factor), last: name };
}

function average(block: Block, x: Rows, state: State, place: Place, modules: LinearModules): State {
  if (block.children.some((child) => child.kind === "leaf" && !modules.has(child.name))) {
    throw new Error("oracle: upstream's weights do not fit where an averaged adapter is absent");
  }
  const results = block.children.map((child) => run(child, x, state, place, modules));
  const made = results
    .map((result, i) => scale(need(result.made, "a change"), at(block.parts, i) / results.length))
    .reduce((sum, part) => add(sum, part));
  return { made, last: need(results.at(-1)?.last, "the last method") };
}
