/** @file Ragged batches of scores, shared by the cases of soft top-k and top-k. */

import { generator, normal } from "./case.ts";
import type { CaseTensor } from "./case.ts";

/** One segment: its scores and how many of them are selected. */
export interface ScoredSegment {
  readonly scores: Float32Array;
  readonly k: number;
}

/** A named batch of segments. */
export interface ScoredBatch {
  readonly name: string;
  readonly segments: () => readonly ScoredSegment[];
}

/** Inputs of a selection: scores, segments, selected_segments, all with run-time lengths. */
export function selectionInputs(segments: readonly ScoredSegment[]): Record<string, CaseTensor> {
  const offsets = Uint32Array.from([0, ...segments.map(({ scores }) => scores.length)]);
  const selected = Uint32Array.from([0, ...segments.map(({ k }) => k)]);
  for (let s = 1; s < offsets.length; s += 1) {
    offsets[s] = (offsets[s] as number) + (offsets[s - 1] as number);
    selected[s] = (selected[s] as number) + (selected[s - 1] as number);
  }
  const scores = new Float32Array(offsets[offsets.length - 1] as number);
  segments.forEach((segment, s) => scores.set(segment.scores, offsets[s]));
  return {
    scores: { shape: [scores.length], data: scores, rows: "rows" },
    segments: { shape: [offsets.length], data: offsets, rows: "offsets" },
    selected_segments: { shape: [selected.length], data: selected, rows: "offsets" },
  };
}

/** @returns the number of selected rows of a batch. */
export function selectedCount(segments: readonly ScoredSegment[]): number {
  return segments.reduce((sum, { k }) => sum + k, 0);
}

function batch(name: string, ...segments: (() => ScoredSegment)[]): ScoredBatch {
  return { name, segments: () => segments.map((make) => make()) };
}

function random(n: number, k: number, deviation = 1, mean = 0): () => ScoredSegment {
  return () => ({ scores: normal(n + k, n, deviation, mean), k });
}

function made(k: number, n: number, value: (i: number) => number): () => ScoredSegment {
  return () => ({ scores: Float32Array.from({ length: n }, (_, i) => value(i)), k });
}

/** Lengths around the tiles of 64 and 256 lanes, every extreme k, and scores that are hard to tell apart or to add. */
export const scoredBatches: readonly ScoredBatch[] = [
  batch("n 1", random(1, 1)),
  batch("n 1, k 0", random(1, 0)),
  batch("n 3, k 1, 2, 3", random(3, 1), random(3, 2), random(3, 3)),
  batch("n 255, 256, 257", random(255, 85), random(256, 86), random(257, 86)),
  batch("n 257, k 0, 1, n - 1, n", random(257, 0), random(257, 1), random(257, 256), random(257, 257)),
  batch("n 4097", random(4097, 1366)),
  batch("n 4097, k 1 and n - 1", random(4097, 1), random(4097, 4096)),
  batch(
    "empty segments between others",
    random(0, 0),
    random(5, 2),
    random(0, 0),
    random(0, 0),
    random(70, 14),
    random(0, 0),
  ),
  batch(
    "many segments",
    ...Array.from({ length: 70 }, (_, i) => random(1 + ((i * 7) % 23), Math.min(1 + (i % 5), 1 + ((i * 7) % 23)))),
  ),
  batch(
    "all equal",
    made(86, 257, () => 0.3),
    made(1, 64, () => -7),
    made(63, 64, () => 0),
  ),
  batch(
    "two values",
    made(100, 300, (i) => (i % 3 === 0 ? 1 : 1 + 2 ** -23)),
    made(150, 300, (i) => (i % 3 === 0 ? 1 : 1 + 2 ** -23)),
  ),
  batch(
    "one dominant",
    made(20, 100, (i) => (i === 41 ? 1e4 : i * 1e-3)),
    made(1, 100, (i) => (i === 41 ? 1e4 : i * 1e-3)),
  ),
  batch(
    "up to 1e4 in magnitude",
    random(513, 171, 4e3),
    made(200, 400, (i) => (i - 200) * 50),
  ),
  batch(
    "close together around 1e4",
    made(50, 200, (i) => 1e4 + ((i * 37) % 200) * 2 ** -9),
  ),
  batch(
    "denormals and signed zeros",
    made(4, 12, (i) => [0, -0, 1e-40, -1e-40, 2e-40, -2e-40][i % 6] as number),
  ),
];

/** A segment of the longest length that the tests run: uniform scores with many ties. */
export const longSegment: ScoredBatch = batch("n 65536", () => {
  const uniform = generator(65536);
  return {
    scores: Float32Array.from({ length: 65536 }, () => Math.fround(Math.floor(uniform() * 20000) / 1000 - 10)),
    k: 13108,
  };
});

/** Values that are hard to rank, of which the last four lie beyond what differences of f32 can hold. */
const hardValues = [-3.5, -0, 0, 1e-42, 2, 2 + 2 ** -22, -Infinity, -3.2e38, 3.2e38, Infinity];

/** Scores of few values, denormals and both zeros among them, so that nearly every boundary is a tie. */
export function tiedScores(seed: number, n: number, extremes: boolean): Float32Array {
  const uniform = generator(seed);
  const values = hardValues.slice(0, extremes ? hardValues.length : -4);
  return Float32Array.from({ length: n }, () => values[Math.floor(uniform() * values.length)] as number);
}

/** Batches with segments too long for one workgroup, between segments of all other lengths. */
export const blockBatches: readonly ScoredBatch[] = [
  batch("n 65537 after a short one", random(5, 2), random(65537, 13108)),
  batch(
    "140000 rows, ragged",
    random(3, 1),
    random(70001, 8751, 3),
    random(0, 0),
    () => ({ scores: tiedScores(4095, 4095, false), k: 1365 }),
    random(4096, 4095),
    () => ({ scores: tiedScores(8191, 8191, false), k: 2731 }),
    random(1, 1),
    random(8192, 0),
    random(4500, 4500),
    made(20000, 41000, () => 0.3),
    random(257, 86),
  ),
];

/** Ties at every boundary, infinities among them, in short segments and in blocks. */
export const tiedBatches: readonly ScoredBatch[] = [
  {
    name: "ties everywhere",
    segments: () => {
      const uniform = generator(200);
      return Array.from({ length: 200 }, (_, i) => {
        const scores = tiedScores(i, Math.floor(uniform() * 90), true);
        return { scores, k: Math.floor(uniform() * (scores.length + 1)) };
      });
    },
  },
  batch(
    "ties over blocks",
    () => ({ scores: tiedScores(1, 65_600, true), k: 30_000 }),
    random(9, 3),
    () => ({
      scores: tiedScores(2, 9000, true),
      k: 900,
    }),
  ),
];
