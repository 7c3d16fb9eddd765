/** @file The gradient rule of `squared-error`: missing targets, and through a mean to one loss. */

import { test } from "vitest";
import type { Value } from "../../src/graph/value.ts";
import { meanOf } from "../../src/ops/mean-of.ts";
import { squaredError } from "../../src/ops/squared-error.ts";
import { normal } from "../../src/random.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";

const COUNT = 13 * 3;
const sources: Readonly<Record<string, Source>> = {
  predictions: { shape: [13, 3], data: normal(1, COUNT) },
  targets: { shape: [13, 3], data: normal(2, COUNT).map((value, i) => (i % 4 === 1 ? NaN : value)), input: true },
};

test("losses", async () => {
  await checkGradient({ sources, build: (b, values) => [b.op(squaredError, values, {}).losses as Value] });
});

test("the mean over the targets that are there", async () => {
  await checkGradient({
    sources,
    build: (b, { predictions, targets }) => {
      const { losses } = b.op(squaredError, { predictions, targets }, {});
      return [b.op(meanOf, { x: losses, targets }, {}).y as Value];
    },
  });
});
