/** @file What a router is: an object that scores and weighs the rows of a layer as graph values. How one is written: docs/routing.md. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import type { SelectionRule } from "./selection.ts";

/** Settings are plain data: traces and results record them. */
export type RouterSettings = Readonly<Record<string, number | string | boolean>>;

/** The operator that makes weights of scores, as `coda` was told. */
export interface SoftTopKOptions {
  readonly softTopK: "paper" | "exact";
  readonly epsilon: number;
  readonly iterations: number;
  readonly epsilonStart: number;
  readonly epsilonDecay: number;
}

/** What a router sees of one layer. */
export interface RouterSite {
  readonly b: GraphBuilder;
  /** The layer's input after its norm on pre-LN hosts, as it comes on post-LN hosts: [rows, d]. */
  readonly x: Value;
  readonly layer: number;
  /** Offsets of what k is taken of, sequences or blocks [S + 1], and of the rows that each selects [S + 1]. */
  readonly segments: Value;
  readonly selectedSegments: Value;
  readonly options: SoftTopKOptions;
  /** A trained vector of this layer [d], one of those that the router names. */
  readonly vector: (name: string) => Value;
  /** A number per sequence or block that tells it from others, whatever batch it is in: u32 [S]. */
  readonly keys: () => Value;
}

/** Scores and weights of all rows. */
export interface Scored {
  /** What the rows are ranked by: the k largest of a segment, ties to the lower row. [rows] */
  readonly scores: Value;
  /**
   * λ, by which the heavy path of a selected row is multiplied. [rows] What is trained is reached through it alone: the choice itself
   * has no gradient (MATHS §1.4). λ is differentiated like any value; `b.withGradient` gives it another gradient.
   */
  readonly weights: Value;
}

/** A selection as graph values. */
export interface ChosenRows {
  /** Packed rows, ascending, and their places in their sequences: u32 [k]. */
  readonly rows: Value;
  readonly positions: Value;
  /** Offsets of the selected rows of every sequence: u32 [sequences + 1]. */
  readonly segments: Value;
  /** For every segment its lowest row whose score is not a number, else 0xffffffff: u32 [S + 1]; null without scores. */
  readonly invalid: Value | null;
}

/** What a choice is made from. */
export interface SelectionSite extends RouterSite {
  /** What stands before run-time names of the stage. */
  readonly prefix: string;
  readonly rule: SelectionRule;
}

/** Rows for keys and values that a router of their own chooses (CoLT5). */
export interface KeyRouting {
  /** r of the keys; null for that of the queries. */
  readonly reduction: number | null;
  /** Whether the rows are multiplied by their λ before they are projected. */
  readonly weigh: boolean;
  readonly score: (site: RouterSite) => Scored;
}

/** Decides which rows of a layer take the heavy path, and how much it counts. */
export interface Router {
  readonly name: string;
  readonly settings: RouterSettings;
  /** Trained vectors of the host's width that each routed layer has; the first is what `coda({ weights })` gives. */
  readonly vectors: readonly string[];
  readonly score: (site: RouterSite) => Scored;
  /** How rows are chosen where it is not by the k largest scores. */
  readonly choose?: (site: SelectionSite, scored: Scored) => ChosenRows;
  /** The rule of a layer with this reduction factor, where it is not k = ceil(n / r). */
  readonly rule?: (at: { readonly layer: number; readonly reduction: number }) => SelectionRule;
  readonly keys?: KeyRouting;
  /** Rows named from outside, by sequence and layer, of which the sequence has `length`. */
  readonly given?: (sequence: number, layer: number, length: number) => readonly number[];
}
