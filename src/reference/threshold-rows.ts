/** @file The rows of every segment whose score is above a threshold, by sorting. */

import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

const NONE = 0xffffffff;

/**
 * scores[R], segments[S + 1], capacity_segments[S + 1] -> rows[K], positions[K], selected_segments[S + 1], counted[1] = K,
 * invalid[S + 1]. Rows with score > threshold, the largest where a segment has more than its room; ties to the lower row.
 */
export function thresholdRows(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const scores = (inputs.scores as ReferenceTensor).data;
  const segments = (inputs.segments as ReferenceTensor).data;
  const capacity = (inputs.capacity_segments as ReferenceTensor).data;
  const threshold = Math.fround(Number(attributes.threshold));
  const rows: number[] = [];
  const positions: number[] = [];
  const selected = [0];
  const invalid: number[] = [];
  for (let s = 0; s + 1 < segments.length; s += 1) {
    const start = segments[s] as number;
    const scoreOf = (i: number): number => scores[start + i] as number;
    const all = Array.from({ length: (segments[s + 1] as number) - start }, (_, i) => i);
    const above = all.filter((i) => scoreOf(i) > threshold).sort((i, j) => scoreOf(j) - scoreOf(i) || i - j);
    const chosen = above.slice(0, (capacity[s + 1] as number) - (capacity[s] as number)).sort((i, j) => i - j);
    rows.push(...chosen.map((i) => start + i));
    positions.push(...chosen);
    selected.push(rows.length);
    const bad = all.find((i) => Number.isNaN(scoreOf(i)));
    invalid.push(bad === undefined ? NONE : start + bad);
  }
  invalid.push(NONE);
  const table = (values: readonly number[]): ReferenceTensor => ({
    shape: [values.length],
    data: Uint32Array.from(values),
  });
  return {
    rows: table(rows),
    positions: table(positions),
    selected_segments: table(selected),
    counted: table([rows.length]),
    invalid: table(invalid),
  };
}
