/** @file The gradient rule of `mean-of`: every way to tell what takes part. */

import { test } from "vitest";
import type { Value } from "../../src/graph/value.ts";
import { meanOf } from "../../src/ops/mean-of.ts";
import { normal } from "../../src/random.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";

const NO_LABEL = 0xffffffff;
const x: Source = { shape: [11, 5], data: normal(1, 55) };
const masks: Readonly<Record<string, Readonly<Record<string, Source>>>> = {
  nothing: {},
  labels: {
    labels: {
      shape: [11, 5],
      data: Uint32Array.from({ length: 55 }, (_, i) => (i % 3 === 0 ? NO_LABEL : i)),
      input: true,
    },
  },
  targets: { targets: { shape: [11, 5], data: normal(2, 55).map((value, i) => (i % 4 ? value : NaN)), input: true } },
  "no label": { labels: { shape: [11, 5], data: new Uint32Array(55).fill(NO_LABEL), input: true } },
  divisor: { divisor: { shape: [1], data: Uint32Array.of(400), input: true } },
};

test.each(Object.entries(masks))("%s", async (_, mask) => {
  await checkGradient({ sources: { x, ...mask }, build: (b, values) => [b.op(meanOf, values, {}).y as Value] });
});
