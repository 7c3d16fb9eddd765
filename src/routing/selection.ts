/**
 * @file Names of the run-time lengths and tables of a selection. A name says how many rows every sequence selects, so that whoever
 * fills the tables needs nothing else: layers that select by the same rule share them.
 */

import { runtimeDim } from "../ops/op.ts";
import type { RuntimeDim } from "../ops/op.ts";

/** How many rows of a sequence are selected, and who knows it. */
export type SelectionRule =
  /** k = ceil(n / r) of the sequence, or of every block of `block` rows. */
  | { readonly kind: "reduced"; readonly reduction: number; readonly block: number | null }
  /** As many as are named for a layer. */
  | { readonly kind: "given"; readonly layer: number }
  /** At most ceil(n / r); how many, the GPU finds out in that layer. */
  | { readonly kind: "counted"; readonly reduction: number; readonly layer: number };

/** A rule, and the stage of rows that it selects from: what stands before their names. */
export interface SelectionName {
  readonly prefix: string;
  readonly rule: SelectionRule;
}

/** Kinds of tables: offsets of the selected rows of sequences; the same of blocks; the named rows and their places. */
export type SelectionTable = "segments" | "cuts" | "rows" | "positions";

function ruleName(rule: SelectionRule): string {
  if (rule.kind === "given") return `given.${rule.layer}`;
  if (rule.kind === "counted") return `counted.${rule.reduction}@${rule.layer}`;
  return `selected.${rule.reduction}${rule.block === null ? "" : `/${rule.block}`}`;
}

/** The run-time number of selected rows, or the most there can be where the GPU counts them. */
export function selectionDim({ prefix, rule }: SelectionName): RuntimeDim {
  return runtimeDim(`${prefix}${ruleName(rule)}`);
}

/** The name of a table of a selection. */
export function selectionTable(name: SelectionName, table: SelectionTable): string {
  return `${selectionDim(name).symbol}.${table}`;
}

/** Of all blocks of all sequences: their offsets, the numbers that tell them apart, and the lengths of both. */
export type BlockTable = "segments" | "keys" | "offsets" | "count";

/** The run-time name of a table of blocks, or of its length. */
export function blockTable(prefix: string, block: number, what: BlockTable): string {
  return `${prefix}blocks/${block}.${what}`;
}

/** The run-time name of the numbers that tell sequences apart. */
export function keysTable(prefix: string): string {
  return `${prefix}sequence-keys`;
}

const NAME =
  /^([^ ]*?)(?:selected\.([\d.e+]+?)(?:\/([\d.e+]+?))?|given\.(\d+)|counted\.([\d.e+]+)@(\d+))(?:\.(segments|cuts|rows|positions))?$/;

/** @returns what a run-time name says of a selection, or null when it is about something else. */
export function selectionOf(name: string): (SelectionName & { readonly table: SelectionTable | null }) | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const [, prefix = "", reduction, block, given, most, layer, table] = match;
  const rule = ((): SelectionRule => {
    if (given !== undefined) return { kind: "given", layer: Number(given) };
    if (most !== undefined) return { kind: "counted", reduction: Number(most), layer: Number(layer) };
    return { kind: "reduced", reduction: Number(reduction), block: block === undefined ? null : Number(block) };
  })();
  return { prefix, rule, table: (table as SelectionTable | undefined) ?? null };
}

/** @returns what a run-time name says of blocks, or null when it is about something else. */
export function blocksOf(
  name: string,
): { readonly prefix: string; readonly block: number; readonly table: BlockTable } | null {
  const match = /^([^ ]*?)blocks\/([\d.e+]+?)\.(segments|keys|offsets|count)$/.exec(name);
  if (match === null) return null;
  return { prefix: match[1] as string, block: Number(match[2]), table: match[3] as BlockTable };
}

/** k = ceil(n / r), at most n (MATHS §1.2 eq. 3). */
export function selectedCount(rows: number, reduction: number): number {
  // A quotient such as 6 / 1.2 = 5.000000000000001 must not select one row more.
  return Math.min(rows, Math.max(1, Math.ceil(rows / reduction - 1e-9)));
}

/** Lengths of the blocks of a sequence: all full but the last. */
export function blockLengths(rows: number, block: number): number[] {
  return Array.from({ length: Math.ceil(rows / block) }, (_, index) => Math.min(block, rows - index * block));
}

/** Rows that a sequence, or each of its blocks, selects; null where the rule does not say. */
export function ruleCount(rule: SelectionRule, rows: number): number | null {
  if (rule.kind === "given") return null;
  if (rule.kind === "counted" || rule.block === null) return selectedCount(rows, rule.reduction);
  return blockLengths(rows, rule.block).reduce((sum, length) => sum + selectedCount(length, rule.reduction), 0);
}
