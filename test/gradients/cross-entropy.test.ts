/** @file The gradient rule of `cross-entropy`: smoothing, rows that take no part, one class, and through a mean to one loss. */

import { expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate, differentiate } from "../../src/graph/differentiate.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { Reference } from "../../src/graph/interpret.ts";
import type { Value } from "../../src/graph/value.ts";
import { crossEntropy, noLabel } from "../../src/ops/cross-entropy.ts";
import { meanOf } from "../../src/ops/mean-of.ts";
import { normal } from "../../src/random.ts";
import { references } from "../../src/reference/index.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";

const CLASSES = 7;
const labels = Uint32Array.of(0, 6, noLabel, 3, 3, noLabel, 1, 5, 2);
const sources: Readonly<Record<string, Source>> = {
  logits: { shape: [9, CLASSES], data: normal(1, 9 * CLASSES, 2) },
  labels: { shape: [9], data: labels, input: true },
};

test.each([undefined, 0.1, 0.7])("label smoothing %s", async (labelSmoothing) => {
  const build = (b: GraphBuilder, { logits, labels: index }: Readonly<Record<string, Value>>): Value[] => [
    b.op(crossEntropy, { logits, labels: index }, { labelSmoothing }).losses as Value,
  ];
  await checkGradient({ sources, build });
});

test("wide rows, by fours and singly", async () => {
  for (const classes of [260, 257]) {
    const wide = {
      logits: { shape: [3, classes], data: normal(2, 3 * classes) },
      labels: { shape: [3], data: Uint32Array.of(classes - 1, noLabel, 0), input: true },
    };
    await checkGradient({
      sources: wide,
      build: (b, { logits, labels: index }) => [
        b.op(crossEntropy, { logits, labels: index }, { labelSmoothing: 0.1 }).losses as Value,
      ],
    });
  }
});

test("one class has no gradient", async () => {
  await checkGradient({
    sources: {
      logits: { shape: [3, 1], data: normal(3, 3) },
      labels: { shape: [3], data: new Uint32Array(3), input: true },
    },
    build: (b, { logits, labels: index }) => [b.op(crossEntropy, { logits, labels: index }, {}).losses as Value],
  });
});

test("the mean over the rows that take part", async () => {
  await checkGradient({
    sources,
    build: (b, { logits, labels: index }) => {
      const { losses } = b.op(crossEntropy, { logits, labels: index }, { labelSmoothing: 0.1 });
      return [b.op(meanOf, { x: losses, labels: index }, {}).y as Value];
    },
  });
});

test("a batch of which nothing takes part has loss 0 and gradient 0", () => {
  const b = new GraphBuilder({ differentiable: true });
  const logits = b.parameter("logits", [2, 3]);
  const index = b.input("labels", [2], "u32");
  const { losses } = b.op(crossEntropy, { logits, labels: index }, {});
  const loss = b.op(meanOf, { x: losses, labels: index }, {}).y as Value;
  const [part] = differentiate(b, loss, [{ parameter: "logits" }]).get("logits") ?? [];
  const results = interpret(b.finish({ loss, gradient: part?.value as Value }), {
    references: references as Record<string, Reference>,
    sources: (name) =>
      name === "labels"
        ? { shape: [2], data: Uint32Array.of(noLabel, noLabel) }
        : { shape: [2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 6) },
    sizes: {},
  });
  expect(results.get("loss")?.data).toEqual(Float64Array.of(0));
  expect(results.get("gradient")?.data).toEqual(new Float64Array(6));
});

test("what the forward pass keeps for the gradient has none of its own", () => {
  const b = new GraphBuilder({ differentiable: true });
  const logits = b.parameter("logits", [2, 3]);
  const { normalizer } = b.op(crossEntropy, { logits, labels: b.input("labels", [2], "u32") }, {});
  const seed = { value: normalizer as Value, gradient: b.parameter("seed", [2, 2]) };
  expect(() => backpropagate(b, [seed], [{ parameter: "logits" }])).toThrow("the gradient of normalizer is not built");
});
