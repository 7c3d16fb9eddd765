/** @file The gradient rule of `segment-combine`: both modes, groups of columns, run-time lengths. */

import { expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { formatShape, runtimeDim } from "../../src/ops/op.ts";
import { segmentCombine } from "../../src/ops/segment-combine.ts";
import { checkGradient } from "./check-gradient.ts";
import { ROWS, SEGMENTS, tables, weights } from "./segment-sources.ts";

const groups: readonly (readonly [width: number, groups: number])[] = [
  [4, 1],
  [6, 3],
  [5, 1],
  [24, 2],
];

test.each(groups)("add, %i columns in groups: %i", async (width, count) => {
  for (const withA of [true, false]) {
    await checkGradient({
      sources: {
        ...(withA ? { a: weights(1, ROWS, width) } : {}),
        b: weights(2, ROWS, width),
        weight: weights(3, SEGMENTS, count),
        segments: tables().segments,
      },
      build: (b, values) => [b.op(segmentCombine, values, { mode: "add" }).y as Value],
    });
  }
});

test.each(groups)("choose, %i columns in groups: %i", async (width, count) => {
  // Far from 0.5, where the choice turns over.
  const mask = Float32Array.from({ length: SEGMENTS * count }, (_, i) => (i % 3 === 0 ? 1 : 0));
  await checkGradient({
    sources: {
      a: weights(1, ROWS, width),
      b: weights(2, ROWS, width),
      weight: { shape: [SEGMENTS, count], data: mask },
      segments: tables().segments,
    },
    build: (b, values) => [b.op(segmentCombine, values, { mode: "choose" }).y as Value],
  });
});

test("the gradient of weights has their shape whatever lengths a run has", () => {
  const b = new GraphBuilder({ differentiable: true });
  const [rows, segments] = [runtimeDim("rows"), runtimeDim("segments")];
  const inputs = {
    b: b.input("b", [rows, 6]),
    weight: b.parameter("weight", [segments, 3]),
    segments: b.input("segments", [runtimeDim("offsets")], "u32"),
  };
  const value = b.op(segmentCombine, inputs, { mode: "add" }).y as Value;
  const seed = { value, gradient: b.input("seed", [rows, 6]) };
  const found = backpropagate(b, [seed], [{ parameter: "weight" }]).get("weight") ?? [];
  expect(found.map(({ at, value: part }) => [at, formatShape(part.type.shape)])).toEqual([[0, "[segments, 3]"]]);
});
