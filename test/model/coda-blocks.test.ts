/** @file Block-wise selection: every block of a sequence selects its own k, causal order and places stay those of the sequence. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parallel } from "../../src/adapters/composition.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import type { Router } from "../../src/routing/router.ts";
import { routers } from "../../src/routing/routers/index.ts";
import { EPSILON, MATTERS, expectLayers, inputOf, litCase, runRouted, weightsFor } from "./coda-case.ts";
import type { CodaCase, LitCase } from "./coda-case.ts";
import { bottleneck } from "./coda-bottleneck.ts";
import { hiddenOf, lively } from "./lively.ts";
import { relativeError } from "./truth.ts";

const LIGHT = { layer_adapter: true, reduction_factor: 4, non_linearity: "relu" };
const VECTORLESS: ReadonlySet<string> = new Set(["strided", "random", "norm", "truncation"]);

describe.each(["albert", "gpt2", "kwt"])("on a tiny %s", (family) => {
  let given: LitCase;

  beforeAll(async () => {
    given = await litCase(family, LIGHT, 5);
  });
  afterAll(async () => given.model.dispose());

  const optionsFor = (router: string, block: number, own: Partial<CodaOptions> = {}): CodaOptions => ({
    reduction: 2.5,
    router,
    block,
    epsilon: EPSILON,
    ...(VECTORLESS.has(router) ? {} : { weights: weightsFor(given, 2.5, ["score"]) }),
    ...own,
  });

  test.each([
    ["learned", 4, {}],
    ["learned", 4, { attention: "k-to-all", softTopK: "exact" }],
    ["learned", 3, { part: "attention" }],
    ["learned", 1, {}],
    ["first-k", 4, {}],
    ["truncation", 3, {}],
    ["strided", 5, {}],
    ["random", 4, {}],
    ["norm", 4, {}],
  ] as const)("%s, blocks of %d, %j: each is routed as a sequence of its own", async (router, block, own) => {
    const options = optionsFor(router, block, own);
    const out = await runRouted(given, options);
    expectLayers(given, out, options, {
      router,
      light: given.lit,
      ...("part" in own ? { part: own.part } : {}),
      all: "attention" in own,
      choice: { exact: "softTopK" in own },
    });
    const selected = given.lengths.map((length) => {
      let count = 0;
      for (let from = 0; from < length; from += block) count += Math.ceil(Math.min(block, length - from) / 2.5);
      return count;
    });
    const total = selected.reduce((a, b) => a + b, 0);
    expect(out.routing?.map((layer) => layer?.selected.length)).toEqual(
      given.tiny.host.shape.layers === 3 ? [total, total, total] : [total, total],
    );
  });

  test("blocks of a router's own rule are those that coda is told", async () => {
    const rule = { kind: "reduced", reduction: 2.5, block: 4 } as const;
    const own: Router = { ...routers.learned(), name: "mine", rule: () => rule };
    const { block: _, ...free } = optionsFor("learned", 4);
    const [told, made] = [
      await runRouted(given, optionsFor("learned", 4)),
      await runRouted(given, { ...free, router: own }),
    ];
    expect(hiddenOf(made)).toEqual(hiddenOf(told));
    expect(made.routing).toEqual(told.routing);
  });

  test.each(["learned", "random"])("%s: a block of the whole sequence is no block, bit for bit", async (router) => {
    const free: CodaOptions = optionsFor(router, 1);
    const { block: _, ...without } = free;
    const whole = await runRouted(given, without);
    for (const block of [Math.max(...given.lengths), 1000, 1e21]) {
      const blocked = await runRouted(given, { ...free, block });
      expect(hiddenOf(blocked)).toEqual(hiddenOf(whole));
      expect(blocked.routing).toEqual(whole.routing);
    }
    const cut = await runRouted(given, { ...free, block: 3 });
    expect(relativeError(hiddenOf(cut), hiddenOf(whole))).toBeGreaterThan(MATTERS);
  });

  test("blocks of copies are those of each copy", async () => {
    const { model } = given;
    const other = lively(model.host.shape, LIGHT, 6);
    await model.addAdapter("other", other);
    model.setActive(parallel("light", "other"));
    const options = optionsFor("learned", 4);
    const out = await runRouted(given, options);
    const sequences = given.lengths.length;
    expectLayers(given, out, options, {
      router: "learned",
      light: (x, layer, sequence) => bottleneck(sequence < sequences ? given.light : other, `layers.${layer}.`, x),
    });
    model.setActive("light");
    model.removeAdapter("other");
  });

  test("another batch of the same rows in more blocks is a run like any other", async () => {
    const { model } = given;
    const options = optionsFor("learned", 2);
    const out = await runRouted(given, options);
    const lengths = family === "kwt" ? [2, 2, 2, 2, 2, 2] : [1, 1, 3, 2, 5, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    const cut: CodaCase = { ...given, lengths, input: inputOf(family, lengths) };
    expectLayers(cut, await runRouted(cut, options), options, { router: "learned", light: given.lit });
    model.setRouting(coda(options));
    expect(hiddenOf(await model.run(given.input))).toEqual(hiddenOf(out));
  });

  test.each([
    ["oracle", routers.oracle({ indices: [] })],
    ["separate", routers.separate()],
    ["threshold", routers.threshold()],
    ["norm", { ...routers.norm(), rule: () => ({ kind: "reduced", reduction: 3, block: null }) } as Router],
  ] as const)("%s does not select the k largest, and is refused with blocks", (name, router) => {
    expect(() => coda({ reduction: 2, block: 4, router })).toThrow(
      expect.objectContaining({
        code: "BAD_CONFIG",
        where: "coda.block",
        message: expect.stringMatching(name) as string,
      }) as Error,
    );
  });
});
