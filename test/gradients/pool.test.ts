/** @file The gradient rule of `pool`: every mode over ragged and empty segments. */

import { test } from "vitest";
import type { Value } from "../../src/graph/value.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { pool } from "../../src/ops/pool.ts";
import { normal } from "../../src/random.ts";
import { checkGradient } from "./check-gradient.ts";

const TABLES: readonly (readonly number[])[] = [
  [0, 3, 3, 4, 9, 9],
  [0, 1],
  [0, 0, 5],
];

test.each(["first", "mean", "last"] as const)("%s", async (mode) => {
  for (const width of [3, 8]) {
    for (const offsets of TABLES) {
      const rows = offsets.at(-1) as number;
      await checkGradient({
        sources: {
          x: { shape: [rows, width], data: normal(rows + width, rows * width) },
          segments: { shape: [offsets.length], data: Uint32Array.from(offsets), input: true },
        },
        build: (b, values) => [b.op(pool, values, { mode }).y as Value],
      });
    }
  }
});

test("as many segments as a run has", async () => {
  await checkGradient({
    sources: {
      x: { shape: [7, 4], data: normal(1, 28) },
      segments: { shape: [4], data: Uint32Array.of(0, 2, 2, 7), input: true },
    },
    sizes: { sequences: 3 },
    build: (b, values) => {
      const y = b.op(pool, values, { mode: "mean", count: runtimeDim("sequences").symbol }).y as Value;
      return [y];
    },
  });
});
