/** @file A composition as the library saves it (`adapter_setup.json`), and which sequence goes where in it. */

import { at, need } from "./rows.ts";

/** One node of a saved setup; a leaf has the type `single` and its name as the only child. */
export interface SetupNode {
  readonly type: string;
  readonly children: readonly (SetupNode | string)[];
  readonly kwargs?: {
    readonly splits?: number | readonly number[];
    readonly batch_sizes?: number | readonly number[];
    readonly weights?: readonly number[] | null;
    readonly normalize_weights?: boolean;
  };
}

/** A leaf: the name of an adapter. */
export interface Leaf {
  readonly kind: "leaf";
  readonly name: string;
}

/** A block. `parts`: lengths of a split, sizes of a batch split, weights of an average (normalised); otherwise empty. */
export interface Block {
  readonly kind: "stack" | "fuse" | "split" | "batchSplit" | "parallel" | "average";
  readonly children: readonly Tree[];
  readonly parts: readonly number[];
}

/** A composition. */
export type Tree = Leaf | Block;

/** Where one sequence stands: its copy (of a parallel block), its place in the current part of the batch, that part's size. */
export interface Place {
  readonly copy: number;
  readonly index: number;
  readonly count: number;
}

const kinds: Readonly<Record<string, Block["kind"]>> = {
  Stack: "stack",
  Fuse: "fuse",
  Split: "split",
  BatchSplit: "batchSplit",
  Parallel: "parallel",
  Average: "average",
};

/** The tree of a saved setup. A bare name, or a leaf at the top, means a stack of one. */
export function parseSetup(setup: SetupNode | string): Tree {
  const tree = parseNode(setup);
  return tree.kind === "leaf" ? { kind: "stack", children: [tree], parts: [] } : tree;
}

function parseNode(node: SetupNode | string): Tree {
  if (typeof node === "string") return { kind: "leaf", name: node };
  if (node.type === "single") return { kind: "leaf", name: String(node.children[0]) };
  const kind = need(kinds[node.type], `the block ${node.type}`);
  const children = node.children.map((child) => parseNode(child));
  return { kind, children, parts: partsOf(kind, children.length, node.kwargs ?? {}) };
}

function partsOf(kind: Block["kind"], count: number, kwargs: NonNullable<SetupNode["kwargs"]>): readonly number[] {
  const spread = (value: number | readonly number[] | undefined): readonly number[] => {
    const given = need(value, `the sizes of a ${kind}`);
    return typeof given === "number" ? Array.from({ length: count }, () => given) : given;
  };
  if (kind === "split") return spread(kwargs.splits);
  if (kind === "batchSplit") return spread(kwargs.batch_sizes);
  if (kind !== "average") return [];
  const weights = kwargs.weights ?? Array.from({ length: count }, () => 1 / count);
  if (kwargs.normalize_weights === false) return weights;
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Names of all leaves, from left to right. */
export function leavesOf(tree: Tree): string[] {
  return tree.kind === "leaf" ? [tree.name] : tree.children.flatMap((child) => leavesOf(child));
}

/** The leftmost leaf's name. */
export function firstName(tree: Tree): string {
  return need(leavesOf(tree)[0], "the first leaf");
}

/** The rightmost leaf's name. */
export function lastName(tree: Tree): string {
  return need(leavesOf(tree).at(-1), "the last leaf");
}

/** How often a composition repeats the batch. */
export function copiesOf(tree: Tree): number {
  if (tree.kind === "leaf") return 1;
  if (tree.kind === "parallel") return tree.children.length;
  return Math.max(...tree.children.map((child) => copiesOf(child)));
}

/** The child of a batch split or a parallel block that a sequence takes, and its place there. */
export function childFor(block: Block, place: Place): { child: Tree; place: Place } {
  if (block.kind === "parallel") return { child: need(block.children[place.copy], `copy ${place.copy}`), place };
  const sum = block.parts.reduce((total, size) => total + size, 0);
  if (sum !== place.count) throw new Error(`oracle: batch sizes add up to ${sum}, the batch is ${place.count}`);
  let start = 0;
  for (const [i, child] of block.children.entries()) {
    const size = at(block.parts, i);
    if (place.index < start + size) return { child, place: { ...place, index: place.index - start, count: size } };
    start += size;
  }
  throw new Error("oracle: no part of the batch is this sequence's");
}

/** `[child, from, to]` of a split over `length` rows. */
export function splitParts(block: Block, length: number): [Tree, number, number][] {
  const sum = block.parts.reduce((total, size) => total + size, 0);
  if (sum !== length) throw new Error(`oracle: splits add up to ${sum}, the sequence is ${length}`);
  let start = 0;
  return block.children.map((child, i) => {
    const from = start;
    start += at(block.parts, i);
    return [child, from, start];
  });
}
