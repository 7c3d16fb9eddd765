/** @file The gradient rule of `soft-top-k`, both operators, on ragged segments. */

import { describe, test } from "vitest";
import type { Value } from "../../src/graph/value.ts";
import { softTopK } from "../../src/ops/soft-top-k.ts";
import type { SoftTopKAttributes } from "../../src/ops/soft-top-k.ts";
import { checkGradient } from "./check-gradient.ts";
import { numbers, offsets, table } from "./sources.ts";

const OPERATORS: readonly (readonly [name: string, attributes: SoftTopKAttributes])[] = [
  ["paper", { mode: "paper", epsilon: 1 }],
  ["paper, 5 iterations without decay", { mode: "paper", epsilon: 0.5, iterations: 5, epsilonStart: 0.5 }],
  ["paper, from minus the scores", { mode: "paper", epsilon: 1, start: "minus-scores" }],
  ["exact", { mode: "exact", epsilon: 0.5 }],
];

/** Rows of segments, and k of each: one row, none, all of them, none chosen, some. */
const SEGMENTS = { lengths: [1, 0, 5, 4, 13], counts: [1, 0, 5, 0, 4] };

describe.each(OPERATORS)("%s", (_, attributes) => {
  test("ragged segments", async () => {
    const { lengths, counts } = SEGMENTS;
    await checkGradient({
      sources: {
        scores: numbers(1, [lengths.reduce((a, b) => a + b)]),
        segments: table(...offsets(lengths)),
        selected_segments: table(...offsets(counts)),
      },
      build: (b, inputs) => [b.op(softTopK, inputs, attributes).weights as Value],
    });
  });
});
