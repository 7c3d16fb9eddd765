/** @file The k largest scores of every segment, by sorting, and the scores that are not numbers. */

import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

const NONE = 0xffffffff;

/**
 * scores[R], segments[S + 1], selected_segments[S + 1] -> rows[K], positions[K], ascending, ties to the lower row; invalid[S + 1],
 * the lowest row of each segment whose score is not a number. Of such a segment the selected rows mean nothing.
 */
export function topK(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const scores = (inputs.scores as ReferenceTensor).data;
  const segments = (inputs.segments as ReferenceTensor).data;
  const selected = (inputs.selected_segments as ReferenceTensor).data;
  const rows: number[] = [];
  const positions: number[] = [];
  const invalid = new Uint32Array(segments.length).fill(NONE);
  for (let s = 0; s + 1 < segments.length; s += 1) {
    const start = segments[s] as number;
    const order = Array.from({ length: (segments[s + 1] as number) - start }, (_, i) => i);
    order.sort((i, j) => (scores[start + j] as number) - (scores[start + i] as number) || i - j);
    const chosen = order.slice(0, (selected[s + 1] as number) - (selected[s] as number)).sort((i, j) => i - j);
    const worst = scores.subarray(start, segments[s + 1]).findIndex((score) => Number.isNaN(score));
    if (worst >= 0) invalid[s] = start + worst;
    for (const i of chosen) {
      rows.push(start + i);
      positions.push(i);
    }
  }
  const shape = [rows.length];
  return {
    rows: { shape, data: Uint32Array.from(rows) },
    positions: { shape, data: Uint32Array.from(positions) },
    invalid: { shape: [segments.length], data: invalid },
  };
}
