/** @file A batch to warm a composition up with: zeros of the lengths that the composition asks for. */

import type { Composition } from "../adapters/composition.ts";
import { isBlock } from "../adapters/composition.ts";
import type { HostShape } from "../hosts/host.ts";
import type { Batch } from "./batch.ts";

const ROWS = 128;

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Sequences that a batch split asks for, and tokens that a split asks for. */
function asked(composition: Composition): { sequences: number; rows: number } {
  const own = { sequences: 0, rows: 0 };
  if (!isBlock(composition)) return own;
  if (composition.kind === "batchSplit") own.sequences = sum(composition.batchSizes);
  if (composition.kind === "split") own.rows = sum(composition.splits);
  const inner = composition.children.map(asked);
  return {
    sequences: Math.max(own.sequences, ...inner.map(({ sequences }) => sequences)),
    rows: Math.max(own.rows, ...inner.map(({ rows }) => rows)),
  };
}

export const warmupInput = {
  /** Rows of every sequence: one sequence of 128 tokens, or one image, where the composition asks for nothing else. */
  lengths(composition: Composition | null, shape: HostShape): number[] {
    const { sequences, rows } = composition === null ? { sequences: 0, rows: 0 } : asked(composition);
    // Images have one length only.
    const own = shape.input.kind === "image" ? shape.maxTokens : Math.min(ROWS, shape.maxTokens);
    const length = rows > 0 ? rows : own;
    return Array.from({ length: Math.max(sequences, 1) }, () => length);
  },

  /** A batch of zeros. */
  batch({ input }: HostShape, rows: readonly number[]): Batch {
    const total = sum(rows);
    if (input.kind === "ids") {
      const arrays = { ids: new Uint32Array(total), types: new Uint32Array(total) };
      return { source: "ids", rows, arrays, tokens: null };
    }
    const classRows = input.kind === "image" && !input.classToken ? 0 : rows.length;
    const features = new Float32Array((total - classRows) * input.featureWidth);
    return { source: "features", rows, arrays: { features }, tokens: null };
  },
};
