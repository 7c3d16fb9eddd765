/** @file The lines of a training's metrics: JSON, one a step or an evaluation. */

import type { SetName } from "./config/data.ts";
import type { Scores } from "./evaluate/scores.ts";

/** A step. */
export interface StepLine {
  readonly kind: "step";
  /** From 1: the first step is step 1 once it is done. */
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  /** Of the gradient, before it was clipped. */
  readonly norm: number;
  readonly learningRate: number;
  readonly sequences: number;
  readonly tokens: number;
  /** Lowest layers without adapters, where a training draws them. */
  readonly dropped?: number;
  readonly milliseconds: number;
}

/** An evaluation. */
export interface EvaluationLine {
  readonly kind: "evaluation";
  readonly step: number;
  readonly epoch: number;
  readonly set: SetName;
  readonly scores: Scores;
  /** Is it the best so far? */
  readonly best: boolean;
  readonly milliseconds: number;
}

/** One line. */
export type MetricsLine = StepLine | EvaluationLine;

/** @returns a line with its end. */
export function lineText(line: MetricsLine): string {
  return `${JSON.stringify(line)}\n`;
}

/**
 * What stays of a file when a training goes on from a step: the lines up to it. A line that was being written when the process ended is
 * no line, and neither is what follows it.
 */
export function linesUpTo(text: string, step: number): string {
  const kept: string[] = [];
  for (const line of text.split("\n").slice(0, -1)) {
    let value: unknown = null;
    try {
      value = JSON.parse(line);
    } catch {
      break;
    }
    const at = (value as { readonly step?: unknown } | null)?.step;
    if (typeof at !== "number") break;
    if (at <= step) kept.push(`${line}\n`);
  }
  return kept.join("");
}
