/** @file Prefixes under a composition: a later one stands further left. */

import type { PrefixRow } from "./host.ts";
import { childFor, leavesOf } from "./setup-tree.ts";
import type { Block, Place, Tree } from "./setup-tree.ts";

/** What a layer's prefixes are made from. */
export interface PrefixSource {
  /** The prefix of one adapter in this layer, for this sequence. */
  readonly rowsOf: (name: string) => readonly PrefixRow[] | undefined;
  readonly compat: boolean;
  /** Fills the left of the shorter branches under `compat`. */
  readonly padding: PrefixRow;
}

/** The positions in front of a sequence's keys, leftmost first. */
export function composePrefix(
  tree: Tree,
  sofar: readonly PrefixRow[],
  place: Place,
  source: PrefixSource,
): readonly PrefixRow[] {
  if (!leavesOf(tree).some((name) => source.rowsOf(name) !== undefined)) return sofar;
  if (tree.kind === "leaf") return [...(source.rowsOf(tree.name) ?? []), ...sofar];
  if (tree.kind === "stack") {
    return tree.children.reduce((rows, child) => composePrefix(child, rows, place, source), sofar);
  }
  if (tree.kind === "batchSplit" || tree.kind === "parallel") return branch(tree, sofar, place, source);
  throw new Error(`oracle: prefixes have no ${tree.kind}`);
}

/** Upstream pads all branches to the longest, and the padding is attended (MATHS §2.8); sanely each has its own length. */
function branch(block: Block, sofar: readonly PrefixRow[], place: Place, source: PrefixSource): readonly PrefixRow[] {
  const own = childFor(block, place);
  const rows = composePrefix(own.child, sofar, own.place, source);
  if (!source.compat) return rows;
  const longest = Math.max(...block.children.map((child) => sofar.length + longestIn(child, source)));
  return [...Array.from({ length: longest - rows.length }, () => source.padding), ...rows];
}

/** Rows that a branch adds: a batch split in it has been padded already. */
function longestIn(tree: Tree, source: PrefixSource): number {
  if (tree.kind === "leaf") return source.rowsOf(tree.name)?.length ?? 0;
  const lengths = tree.children.map((child) => longestIn(child, source));
  return tree.kind === "stack" ? lengths.reduce((sum, length) => sum + length, 0) : Math.max(...lengths);
}
