/** @file Attention-only and feed-forward-only routing against plain float64 (src/model/build-layer.ts says the equations), and what they become at their ends. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import { routers } from "../../src/routing/routers/index.ts";
import { EPSILON, MATTERS, TOLERANCE, expectLayers, litCase, runRouted, weightsFor } from "./coda-case.ts";
import type { LitCase } from "./coda-case.ts";
import { hiddenOf } from "./lively.ts";
import { relativeError } from "./truth.ts";

const LIGHT = { layer_adapter: true, reduction_factor: 4, non_linearity: "tanh" };

describe.each(["albert", "gpt2", "kwt"])("on a tiny %s", (family) => {
  let given: LitCase;

  beforeAll(async () => {
    given = await litCase(family, LIGHT, 5);
  });
  afterAll(async () => given.model.dispose());

  const hidden = async (options: CodaOptions | null): Promise<Float32Array> => {
    given.model.setRouting(options === null ? null : coda(options));
    return hiddenOf(await given.model.run(given.input));
  };

  test.each([
    ["attention", "learned", "k-to-k"],
    ["attention", "learned", "k-to-all"],
    ["attention", "separate", "k-to-k"],
    ["attention", "threshold", "k-to-k"],
    ["ffn", "learned", "k-to-k"],
    ["ffn", "norm", "k-to-all"],
    ["ffn", "threshold", "k-to-k"],
  ] as const)("part %s, %s, %s", async (part, router, attention) => {
    const vectors = router === "norm" ? [] : router === "separate" ? ["score", "keys"] : ["score"];
    const own = {
      router: router === "separate" ? routers.separate({ keyReduction: 1.5 }) : router,
      ...(vectors.length === 0 ? {} : { weights: weightsFor(given, 2.5, vectors) }),
    };
    const options: CodaOptions = { reduction: 2.5, part, attention, epsilon: EPSILON, ...own };
    const out = await runRouted(given, options);
    const expectation = {
      router,
      part,
      all: attention === "k-to-all",
      choice: { keyReduction: 1.5 },
      light: given.lit,
    };
    expectLayers(given, out, options, expectation);
  });

  test.each(["layer", "attention", "ffn"] as const)(
    "part %s with r = 1 and λ ≡ 1 is the dense layer plus adapter",
    async (part) => {
      const dense = await hidden(null);
      expect(relativeError(await hidden({ reduction: 1, lambda: 1, part }), dense)).toBeLessThan(TOLERANCE);
      expect(relativeError(await hidden({ reduction: 3, lambda: 1, part }), dense)).toBeGreaterThan(MATTERS);
    },
  );

  test.each(["layer", "attention", "ffn"] as const)("part %s with λ ≡ 0 is skipped", async (part) => {
    const options: CodaOptions = { reduction: 3, part, lambda: 0, weights: weightsFor(given, 3, ["score"]) };
    const skipped = await runRouted(given, options);
    // Whatever is selected counts for nothing.
    expectLayers(given, skipped, options, {
      router: "learned",
      part,
      lambda: 0,
      light: given.lit,
      choice: { epsilon: 0.03 },
    });
    const strided = await hidden({ ...options, router: "strided", weights: [] });
    expect(strided).toEqual(hiddenOf(skipped));
    expect(relativeError(await hidden({ ...options, lambda: 1 }), strided)).toBeGreaterThan(MATTERS);
  });

  test("the parts are three functions", async () => {
    const options: CodaOptions = { reduction: 2, epsilon: EPSILON, weights: weightsFor(given, 2, ["score"]) };
    const [layer, attention, ffn] = [
      await hidden(options),
      await hidden({ ...options, part: "attention" }),
      await hidden({ ...options, part: "ffn" }),
    ] as [Float32Array, Float32Array, Float32Array];
    for (const [a, b] of [
      [layer, attention],
      [layer, ffn],
      [attention, ffn],
    ] as const)
      expect(relativeError(a, b)).toBeGreaterThan(MATTERS);
  });
});
