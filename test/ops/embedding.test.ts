/** @file `embedding` on the device against float64. */

import { expect, test } from "vitest";
import { embeddingCases } from "../../src/cases/embedding.ts";
import { embedding } from "../../src/ops/embedding.ts";
import { embedding as reference } from "../../src/reference/embedding.ts";
import { describeOp } from "./check-case.ts";

describeOp(embedding, reference, embeddingCases);

const call = {
  ids: { shape: [10], element: "u32" },
  word: { shape: [1000, 8], element: "f16" },
  position: { shape: [64, 8], element: "f32" },
  segments: { shape: [3], element: "u32" },
} as const;

test("embedding counts only the rows that it looks up", () => {
  const cost = embedding.cost(
    { inputs: call, outputs: embedding.infer(call, {}), attributes: {} },
    (dim) => dim as number,
  );
  // ids, segments, y, f16 words, f32 positions
  expect(cost).toEqual({ flops: 80, bytes: 40 + 12 + 320 + 160 + 320 });
});

test("embedding names what does not fit", () => {
  const { ids, word, segments, position } = call;
  expect(() => embedding.infer({ ids, segments }, {})).toThrow("input word is missing");
  expect(() => embedding.infer({ ids, word, segments, position: { ...position, shape: [64, 9] } }, {})).toThrow(
    "position axis 1 is 9, expected 8",
  );
  expect(() => embedding.infer({ ids, word, segments, types: { shape: [9], element: "u32" } }, {})).toThrow(
    "types axis 0 is 9, expected 10",
  );
  expect(() => embedding.infer({ ids, word, segments }, { positionOffset: -1 })).toThrow("positionOffset");
});
