/** @file A plan in words and numbers: launches, FLOPs by kind, bytes and arena, per scope. */

import { flopKinds } from "../ops/cost.ts";
import type { FlopKind } from "../ops/cost.ts";
import { byteLength } from "../ops/op.ts";
import type { MemoryPlan } from "./memory.ts";
import { costOf, sizeLookup } from "./schedule.ts";
import type { Sizes, Step, TableOf } from "./schedule.ts";

/** FLOPs of every kind. */
export type FlopCounts = Readonly<Record<FlopKind, number>>;

/** One line of an explanation. */
export interface ExplainedStep {
  readonly scope: string;
  readonly op: string;
  readonly variant: string;
  /** What is dispatched at these lengths: a launch over nothing is left out. */
  readonly kernels: readonly string[];
  readonly launches: number;
  /** The sum of `parts`. */
  readonly flops: number;
  readonly parts: FlopCounts;
  readonly bytes: number;
}

/** What a plan does, at the given lengths. */
export interface Explanation {
  readonly steps: readonly ExplainedStep[];
  readonly launches: number;
  /** The sum of `parts`. */
  readonly flops: number;
  readonly parts: FlopCounts;
  /** Bytes that the launches read and write, and those that copies between them move. */
  readonly bytes: number;
  readonly copyBytes: number;
  /** Bytes of the arena that this plan uses, and what they would be without reuse. */
  readonly arenaBytes: number;
  readonly unsharedBytes: number;
  readonly copies: number;
}

/**
 * Counts a schedule at the given lengths; nothing is run.
 * @param tables integer tables of the run, such as its segments: without them ragged batches are counted as even ones
 */
export function explain(steps: readonly Step[], memory: MemoryPlan, sizes: Sizes, tables?: TableOf): Explanation {
  const size = sizeLookup(sizes);
  const lines = steps.map((step): ExplainedStep => {
    const { flops, bytes, parts = { other: flops } } = costOf(step.node, size, tables);
    const kernels = step.launches
      .filter(({ launch }) => launch.grid(size).every((workgroups) => workgroups > 0))
      .map(({ launch }) => launch.kernel);
    return {
      scope: step.node.scope,
      op: step.node.label,
      variant: step.variant,
      kernels,
      launches: kernels.length,
      flops,
      parts: flopCounts((kind) => parts[kind] ?? 0),
      bytes,
    };
  });
  const total = (pick: (line: ExplainedStep) => number): number => lines.reduce((sum, line) => sum + pick(line), 0);
  // A copy reads and writes.
  const copyBytes = memory.copies.reduce((sum, { value }) => sum + 2 * byteLength(value.type, size), 0);
  return {
    steps: lines,
    launches: total((line) => line.launches),
    flops: total((line) => line.flops),
    parts: flopCounts((kind) => total((line) => line.parts[kind])),
    bytes: total((line) => line.bytes) + copyBytes,
    copyBytes,
    arenaBytes: memory.slots.reduce((sum, bytes) => sum + bytes, 0),
    unsharedBytes: memory.unsharedBytes,
    copies: memory.copies.length,
  };
}

/** @returns FLOPs of every kind. */
export function flopCounts(of: (kind: FlopKind) => number): FlopCounts {
  return Object.fromEntries(flopKinds.map((kind) => [kind, of(kind)])) as Record<FlopKind, number>;
}

/** @returns the kinds that there are, in one line: `MFLOP: matmul 12.31, attention 0.60, norm 0.02`. */
export function formatParts(parts: FlopCounts): string {
  const there = flopKinds.filter((kind) => parts[kind] > 0);
  return `MFLOP: ${there.map((kind) => `${kind} ${(parts[kind] / 1e6).toFixed(2)}`).join(", ")}`;
}

/** @returns the explanation as a table of text. */
export function formatExplanation(explanation: Explanation): string {
  const rows = explanation.steps.map((step) => [
    step.scope || "-",
    step.op,
    step.variant,
    String(step.launches),
    (step.flops / 1e6).toFixed(2),
    (step.bytes / 1024).toFixed(0),
  ]);
  const table = [["scope", "op", "variant", "launches", "MFLOP", "KiB"], ...rows];
  const widths = (table[0] as string[]).map((_, column) =>
    Math.max(...table.map((row) => (row[column] as string).length)),
  );
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join("  ")
      .trimEnd(),
  );
  const { launches, flops, parts, arenaBytes, unsharedBytes, copies } = explanation;
  lines.push(
    formatParts(parts),
    `${launches} launches, ${(flops / 1e9).toFixed(3)} GFLOP, arena ${(arenaBytes / 2 ** 20).toFixed(2)} MiB ` +
      `(${(unsharedBytes / 2 ** 20).toFixed(2)} MiB without reuse), ${copies} copies`,
  );
  return lines.join("\n");
}
