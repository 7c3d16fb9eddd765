/** @file Every router by name through whole models against plain float64: scores and λ of every row, what is selected, the layer's output. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CodaOptions } from "../../src/routing/coda.ts";
import type { Router } from "../../src/routing/router.ts";
import { routerNames, routers } from "../../src/routing/routers/index.ts";
import { EPSILON, MATTERS, expectLayers, litCase, runRouted, weightsFor } from "./coda-case.ts";
import type { Expectation, LitCase } from "./coda-case.ts";
import { hiddenOf } from "./lively.ts";
import { relativeError } from "./truth.ts";

const LIGHT = { layer_adapter: true, reduction_factor: 4, non_linearity: "gelu", scaling: 1.5 };
/** Per layer: reduced, dense and whole ones, with factors that divide nothing. */
const REDUCTIONS: Readonly<Record<string, readonly (number | null)[]>> = {
  albert: [3, null, 1.7],
  gpt2: [2, 1],
  kwt: [1, 3],
};

type Setup = Pick<CodaOptions, "router" | "softTopK" | "seed"> & Pick<Expectation, "choice" | "places">;

/** Two places of every sequence that has them, not in order; none of the second. */
const named = (sequence: number, layer: number, length: number): number[] =>
  sequence === 1 || length < 3 ? [] : [length - 1 - layer, 0];

const SETUPS: readonly (readonly [name: string, vectors: readonly string[], setup: Setup])[] = [
  ["learned", ["score"], { softTopK: "paper" }],
  ["learned", ["score"], { softTopK: "exact", choice: { exact: true } }],
  ["sigmoid", ["score"], {}],
  ["straight-through", ["score"], {}],
  ["mixture-of-depths", ["score"], {}],
  ["first-k", ["score"], {}],
  ["truncation", [], {}],
  ["strided", [], {}],
  ["random", [], { seed: 4294967295, choice: { seed: 4294967295 } }],
  ["norm", [], {}],
  ["threshold", ["score"], {}],
  ["threshold", ["score"], { router: routers.threshold({ threshold: 0.75 }), choice: { threshold: 0.75 } }],
  ["oracle", [], { router: routers.oracle({ indices: named }), places: named }],
  ["separate", ["score", "keys"], {}],
  ["separate", ["score", "keys"], { router: routers.separate({ keyReduction: 1.4 }), choice: { keyReduction: 1.4 } }],
  [
    "separate",
    ["score", "keys"],
    {
      router: routers.separate({ keyReduction: 2.5, weighKeys: false }),
      choice: { keyReduction: 2.5, weighKeys: false },
      softTopK: "exact",
    },
  ],
];

describe.each(["albert", "gpt2", "kwt"])("on a tiny %s", (family) => {
  let given: LitCase;

  beforeAll(async () => {
    given = await litCase(family, LIGHT, 3);
  });
  afterAll(async () => given.model.dispose());

  test.each(
    SETUPS.flatMap(([name, vectors, setup]) =>
      (["k-to-k", "k-to-all"] as const).map((attention) => ({ name, vectors, setup, attention })),
    ),
  )("$name, $attention, $setup", async ({ name, vectors, setup, attention }) => {
    const reduction = REDUCTIONS[family] as readonly (number | null)[];
    const { choice = {}, places, ...own } = setup;
    const options: CodaOptions = {
      reduction,
      attention,
      epsilon: EPSILON,
      router: name,
      ...own,
      ...(vectors.length === 0 ? {} : { weights: weightsFor(given, reduction, vectors) }),
    };
    const out = await runRouted(given, options);
    expect(out.routing?.map((layer) => layer === null)).toEqual(reduction.map((factor) => factor === null));
    for (const layer of out.routing ?? []) if (layer !== null) expect(layer.trained).toBe(vectors.length > 0);
    expectLayers(given, out, options, {
      router: name,
      all: attention === "k-to-all",
      choice: { ...choice, exact: own.softTopK === "exact" },
      ...(places === undefined ? {} : { places }),
      light: given.lit,
    });
  });

  test("every router has been run", () => {
    expect([...new Set(SETUPS.map(([name]) => name))].sort()).toEqual([...routerNames, "oracle"].sort());
  });

  test("λ given by hand stands in for that of every router, and matters", async () => {
    const reduction = 2;
    const options: CodaOptions = {
      reduction,
      router: "sigmoid",
      lambda: 0.5,
      weights: weightsFor(given, reduction, ["score"]),
    };
    const out = await runRouted(given, options);
    expectLayers(given, out, options, {
      router: "sigmoid",
      lambda: 0.5,
      light: given.lit,
    });
    const { lambda: _, ...free } = options;
    expect(relativeError(hiddenOf(await runRouted(given, free)), hiddenOf(out))).toBeGreaterThan(MATTERS);
  });

  test("a router's own rule says how many rows are selected, whatever r is: with r = 1 they are not all rows", async () => {
    const rule = { kind: "reduced", reduction: 3, block: null } as const;
    const third: Router = { ...routers.norm(), name: "a third", rule: () => rule };
    for (const reduction of [1, 2]) {
      const out = await runRouted(given, { reduction, router: third, attention: "k-to-all" });
      expectLayers(given, out, { reduction: 3 }, { router: "norm", all: true, light: given.lit });
    }
  });
});
