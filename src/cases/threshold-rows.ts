/** @file Cases of threshold-rows: indices are exact. The k of a segment is its room. */

import { generator, normal } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { longSegment, scoredBatches, selectedCount, selectionInputs } from "./selection.ts";
import type { ScoredBatch, ScoredSegment } from "./selection.ts";

function thresholdCase({ name, segments }: ScoredBatch, threshold: number): OpCase {
  return {
    name: `${name}, above ${Object.is(threshold, -0) ? "-0" : threshold}`,
    attributes: { threshold, count: "selected" },
    inputs: (): Record<string, CaseTensor> => {
      const { selected_segments: room, ...inputs } = selectionInputs(segments());
      return { ...inputs, capacity_segments: room as CaseTensor };
    },
    sizes: { selected: selectedCount(segments()) },
    tolerance: 0,
    exact: ["rows", "positions", "selected_segments", "counted", "invalid"],
  };
}

function batch(name: string, ...segments: (() => ScoredSegment)[]): ScoredBatch {
  return { name, segments: () => segments.map((make) => make()) };
}

/** Standard normal scores of a segment with room for k rows, more than there are if need be. */
function random(n: number, k: number): () => ScoredSegment {
  return () => ({ scores: normal(3 * n + k, n), k });
}

/** Bits of NaNs of both signs, quiet and signalling, with and without a payload. */
const NANS = [0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fc0dead, 0xffffffff];

/** Scores with a NaN wherever `place` says so; in places where the scores beside it are large, small and equal. */
function withNaNs(n: number, k: number, place: (i: number) => boolean): () => ScoredSegment {
  return () => {
    const scores = normal(n, n);
    const bits = new Uint32Array(scores.buffer, scores.byteOffset, n);
    for (let i = 0; i < n; i += 1) if (place(i)) bits[i] = NANS[i % NANS.length] as number;
    return { scores, k };
  };
}

const room: ScoredBatch = batch(
  "room for none, some, all and more",
  random(40, 0),
  random(40, 5),
  random(40, 40),
  random(0, 7),
  random(70, 90),
  random(1, 3),
);

const invalid: ScoredBatch = batch(
  "NaN",
  withNaNs(20, 20, (i) => i === 0 || i === 19),
  withNaNs(70, 9, (i) => i % 3 === 2),
  random(12, 3),
  withNaNs(5, 5, () => true),
  withNaNs(300, 300, (i) => i === 271),
  random(0, 0),
);

/** 150 short segments of scores of few values, infinities among them: the threshold and most cuts are ties. */
const ties: ScoredBatch = {
  name: "ties everywhere",
  segments: () => {
    const uniform = generator(150);
    const values = [-Infinity, -3.5, -0, 0, 1e-42, 2, 2 + 2 ** -22, 3e38, Infinity];
    return Array.from({ length: 150 }, () => {
      const count = Math.floor(uniform() * 90);
      const scores = Float32Array.from({ length: count }, () => values[Math.floor(uniform() * 9)] as number);
      return { scores, k: Math.floor(uniform() * (count + 4)) };
    });
  },
};

const none: ScoredBatch = batch("no segments");

/** Cases of threshold-rows. */
export const thresholdRowsCases: CaseTable = {
  stem: "threshold-rows",
  cases: [
    ...scoredBatches.map((entry) => thresholdCase(entry, 0.25)),
    ...[-1e30, 0, 1, 1e30].map((threshold) => thresholdCase(room, threshold)),
    ...[-3.4028234663852886e38, 0.5].map((threshold) => thresholdCase(invalid, threshold)),
    ...[-3.5, 0, -0, 1e-42, 2].map((threshold) => thresholdCase(ties, threshold)),
    thresholdCase(longSegment, 2.5),
    thresholdCase(none, 0),
  ],
};
