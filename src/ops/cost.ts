/**
 * @file What a call costs: FLOPs by kind, so that those of MATHS §1.6 stand apart from norms and softmax, and bytes. Costs are
 * exact where the host knows the integer tables that a kernel reads: lengths of single segments, widths of single slots.
 */

/**
 * What a FLOP was spent on. `matmul`, `attention`, `adapter` and `router` are the terms of MATHS §1.6 and hold products alone: of
 * linear maps, of scores and weighted values, of the two projections of a bottleneck or a low-rank pair, of rows with a router's
 * vector. Everything around them (biases, activations, residual sums, scatters, selection) is `other`.
 */
export type FlopKind = "matmul" | "attention" | "adapter" | "router" | "norm" | "softmax" | "other";

/** All kinds, in the order in which they are printed. */
export const flopKinds: readonly FlopKind[] = ["matmul", "attention", "adapter", "router", "norm", "softmax", "other"];

/** FLOPs by kind; a kind that is not named has none. */
export type FlopParts = Readonly<Partial<Record<FlopKind, number>>>;

/** Work and traffic of one call. Multiply-add counts as 2 FLOP (MATHS §1.6). */
export interface Cost {
  /** The sum of `parts`. */
  readonly flops: number;
  /** Bytes read and written, each element that takes part counted once. */
  readonly bytes: number;
  /** Absent: all FLOPs are of the kind `other`. */
  readonly parts?: FlopParts;
}

/**
 * The contents of an integer input of a call, by its role; undefined where only the GPU knows them. Of a table that a kernel fills
 * it may be the table of the most that can be in it: costs are then upper bounds.
 */
export type ReadTable = (role: string) => Uint32Array | undefined;

/** FLOPs of the softmax for every element: compare, subtract, exponential, sum or divide. */
export const SOFTMAX_FLOPS = 4;

/** @returns the cost whose FLOPs are these. */
export function counted(parts: FlopParts, bytes: number): Cost {
  return { flops: flopKinds.reduce((sum, kind) => sum + (parts[kind] ?? 0), 0), bytes, parts };
}

/** Pairs of a query and a key of the same segment: Σ over segments of queries · keys, of two tables of S + 1 offsets. */
export function pairCount(queries: Uint32Array, keys: Uint32Array): number {
  let pairs = 0;
  for (let s = 0; s + 1 < queries.length; s += 1) pairs += lengthOf(queries, s) * lengthOf(keys, s);
  return pairs;
}

/** Length of segment s in a table of S + 1 offsets. */
export function lengthOf(offsets: Uint32Array, s: number): number {
  return (offsets[s + 1] as number) - (offsets[s] as number);
}
