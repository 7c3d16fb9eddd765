/** @file The gradient rule of `binary-cross-entropy`: missing and soft targets, weights, and through a mean to one loss. */

import { expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { binaryCrossEntropy } from "../../src/ops/binary-cross-entropy.ts";
import { meanOf } from "../../src/ops/mean-of.ts";
import { normal } from "../../src/random.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";

const [ROWS, CLASSES] = [9, 5];
const TARGETS = [0, 1, NaN, 0.25, 1, 0, 1];
const sources: Readonly<Record<string, Source>> = {
  logits: { shape: [ROWS, CLASSES], data: normal(1, ROWS * CLASSES, 3) },
  targets: {
    shape: [ROWS, CLASSES],
    data: Float32Array.from({ length: ROWS * CLASSES }, (_, i) => TARGETS[i % 7] as number),
    input: true,
  },
};

test("losses", async () => {
  await checkGradient({
    sources,
    build: (b, { logits, targets }) => [b.op(binaryCrossEntropy, { logits, targets }, {}).losses as Value],
  });
});

test("losses with weights of classes", async () => {
  const weights: Source = { shape: [CLASSES], data: Float32Array.of(1, 2, 0.5, 7, 0), input: true };
  await checkGradient({
    sources: { ...sources, weights },
    build: (b, values) => [b.op(binaryCrossEntropy, values, {}).losses as Value],
  });
});

test("the mean over the targets that are there", async () => {
  await checkGradient({
    sources,
    build: (b, { logits, targets }) => {
      const { losses } = b.op(binaryCrossEntropy, { logits, targets }, {});
      return [b.op(meanOf, { x: losses, targets }, {}).y as Value];
    },
  });
});

test("targets are given", () => {
  const b = new GraphBuilder({ differentiable: true });
  const inputs = { logits: b.input("logits", [2, 3]), targets: b.parameter("targets", [2, 3]) };
  const value = b.op(binaryCrossEntropy, inputs, {}).losses as Value;
  const seed = { value, gradient: b.parameter("seed", [2, 3]) };
  expect(() => backpropagate(b, [seed], [{ parameter: "targets" }])).toThrow(
    "binary-cross-entropy: the gradient of targets is not built",
  );
});
