/** @file A plan in words and numbers: launches, FLOPs, bytes and arena, per scope. */

import type { MemoryPlan } from "./memory.ts";
import { costOf, sizeLookup } from "./schedule.ts";
import type { Sizes, Step } from "./schedule.ts";

/** One line of an explanation. */
export interface ExplainedStep {
  readonly scope: string;
  readonly op: string;
  readonly variant: string;
  readonly kernels: readonly string[];
  readonly launches: number;
  readonly flops: number;
  readonly bytes: number;
}

/** What a plan does, at the given lengths. */
export interface Explanation {
  readonly steps: readonly ExplainedStep[];
  readonly launches: number;
  readonly flops: number;
  readonly bytes: number;
  /** Bytes of the arena that this plan uses, and what they would be without reuse. */
  readonly arenaBytes: number;
  readonly unsharedBytes: number;
  readonly copies: number;
}

/** Counts a schedule at the given lengths; nothing is run. */
export function explain(steps: readonly Step[], memory: MemoryPlan, sizes: Sizes): Explanation {
  const size = sizeLookup(sizes);
  const lines = steps.map((step): ExplainedStep => {
    const { flops, bytes } = costOf(step.node, size);
    const kernels = step.launches.map(({ launch }) => launch.kernel);
    return {
      scope: step.node.scope,
      op: step.node.label,
      variant: step.variant,
      kernels,
      launches: kernels.length,
      flops,
      bytes,
    };
  });
  const total = (pick: (line: ExplainedStep) => number): number => lines.reduce((sum, line) => sum + pick(line), 0);
  return {
    steps: lines,
    launches: total((line) => line.launches),
    flops: total((line) => line.flops),
    bytes: total((line) => line.bytes),
    arenaBytes: memory.slots.reduce((sum, bytes) => sum + bytes, 0),
    unsharedBytes: memory.unsharedBytes,
    copies: memory.copies.length,
  };
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
  const { launches, flops, arenaBytes, unsharedBytes, copies } = explanation;
  lines.push(
    `${launches} launches, ${(flops / 1e9).toFixed(3)} GFLOP, arena ${(arenaBytes / 2 ** 20).toFixed(2)} MiB ` +
      `(${(unsharedBytes / 2 ** 20).toFixed(2)} MiB without reuse), ${copies} copies`,
  );
  return lines.join("\n");
}
