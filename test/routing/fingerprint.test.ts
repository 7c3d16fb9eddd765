/** @file Policies are the same where they build the same operations, whatever they are called, and no others are. */

import { describe, expect, test } from "vitest";
import { activation } from "../../src/ops/activation.ts";
import { fill } from "../../src/ops/fill.ts";
import { rowDot } from "../../src/ops/row-dot.ts";
import type { Value } from "../../src/graph/value.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import { routingFingerprint } from "../../src/routing/fingerprint.ts";
import type { Router } from "../../src/routing/router.ts";
import { routerNames, routers } from "../../src/routing/routers/index.ts";

const HOST = { layers: 3, width: 16 };
const print = (options: CodaOptions): string => routingFingerprint(coda(options), HOST);

/** A router whose λ is a constant. */
const constant = (name: string, value: number, settings: Router["settings"] = {}): Router => ({
  name,
  settings,
  vectors: ["score"],
  score: ({ b, x, vector }) => {
    const scores = b.op(rowDot, { x, w: vector("score") }, {}).y as Value;
    return { scores, weights: b.op(fill, { x: scores }, { value }).y as Value };
  },
});

describe("fingerprints", () => {
  test("differ for everything that changes what is computed", () => {
    const policies: CodaOptions[] = [
      ...routerNames.map((router) => ({ reduction: 2, router })),
      { reduction: 3 },
      { reduction: [2, 2, null] },
      { reduction: [2, null, 2] },
      { reduction: [2, 2, 3] },
      { reduction: 2, attention: "k-to-all" },
      { reduction: 2, part: "attention" },
      { reduction: 2, part: "ffn" },
      { reduction: 2, block: 8 },
      { reduction: 2, block: 9 },
      { reduction: 2, softTopK: "exact" },
      { reduction: 2, epsilon: 0.5 },
      { reduction: 2, iterations: 21 },
      { reduction: 2, epsilonStart: 5 },
      { reduction: 2, epsilonDecay: 0.6 },
      { reduction: 2, lambda: 1 },
      { reduction: 2, lambda: 0 },
      { reduction: 2, router: "random", seed: 1 },
      { reduction: 2, router: routers.threshold({ threshold: 0.5 }) },
      { reduction: 2, router: routers.separate({ keyReduction: 3 }) },
      { reduction: 2, router: routers.separate({ weighKeys: false }) },
      { reduction: 2, router: routers.oracle({ indices: [] }) },
      { reduction: 2, router: constant("mine", 0.5) },
      { reduction: 2, router: constant("mine", 0.25) },
    ];
    const prints = policies.map(print);
    prints.forEach((text, index) => expect(prints.indexOf(text), JSON.stringify(policies[index])).toBe(index));
  });

  test("are the same for what is data, and for what says the same otherwise", () => {
    const vectors = Array.from({ length: 3 }, () => new Float32Array(16).fill(1));
    expect(print({ reduction: 2, seed: 7, weights: vectors })).toBe(print({ reduction: 2 }));
    expect(print({ reduction: [2, 2, 2] })).toBe(print({ reduction: 2 }));
    expect(print({ reduction: 2, router: routers.learned() })).toBe(print({ reduction: 2 }));
    expect(print({ reduction: 2, router: routers.separate({ keyReduction: 2 }) })).toBe(
      print({ reduction: 2, router: "separate" }),
    );
    const oracle = (indices: number[][]): CodaOptions => ({ reduction: 2, router: routers.oracle({ indices }) });
    expect(print(oracle([[0]]))).toBe(print(oracle([[5, 2], [1]])));
    // Settings describe; what is computed counts.
    const mine = constant("mine", 0.5, { of: 1 });
    expect(print({ reduction: 2, router: mine })).toBe(
      print({ reduction: 2, router: constant("yours", 0.5, { of: 2 }) }),
    );
  });

  test("tell apart routers whose scores and weights change places", () => {
    const router = (swap: boolean): Router => ({
      name: "mine",
      settings: {},
      vectors: ["score"],
      score: ({ b, x, vector }) => {
        const scores = b.op(rowDot, { x, w: vector("score") }, {}).y as Value;
        const weights = b.op(activation, { x: scores }, { kind: "sigmoid" }).y as Value;
        return swap ? { scores: weights, weights: scores } : { scores, weights };
      },
    });
    expect(print({ reduction: 2, router: router(true) })).not.toBe(print({ reduction: 2, router: router(false) }));
  });
});
