/** @file Routing that is refused: options and vectors, named by field; scores that are no numbers, named by layer, row, sequence and token. The model goes on with the same bits. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import type { RunOptions } from "../../src/model/types.ts";
import { isScoreFault } from "../../src/model/router-faults.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import type { Router } from "../../src/routing/router.ts";
import { routers } from "../../src/routing/routers/index.ts";
import { codaCase, rowsOf, runRouted, weightsFor } from "./coda-case.ts";
import type { CodaCase } from "./coda-case.ts";
import { linear } from "./coda-bottleneck.ts";
import { hiddenOf, lively } from "./lively.ts";
import type { LivelyAdapter } from "./lively.ts";

const good: CodaOptions = { reduction: 2 };
const anything = (options: Record<string, unknown>): CodaOptions => ({ ...good, ...options }) as CodaOptions;

describe("coda refuses by field", () => {
  test.each<[string, RegExp, Record<string, unknown>]>([
    ["reduction", /reduction is 0\.99/, { reduction: 0.99 }],
    ["reduction", /reduction is NaN/, { reduction: NaN }],
    ["reduction", /reduction is Infinity/, { reduction: Infinity }],
    ["reduction", /reduction is "2"/, { reduction: "2" }],
    ["reduction[1]", /reduction\[1\] is 0/, { reduction: [2, 0] }],
    ["reduction[0]", /reduction\[0\] is missing/, { reduction: [undefined, 2] }],
    ["attention", /attention is "all"/, { attention: "all" }],
    ["part", /part is "head"/, { part: "head" }],
    [
      "part",
      /part is "ffn", expected layer or attention with the router separate/,
      { part: "ffn", router: "separate" },
    ],
    ["block", /block is 0/, { block: 0 }],
    ["block", /block is 1\.5/, { block: 1.5 }],
    ["block", /block is NaN/, { block: NaN }],
    ["softTopK", /softTopK is "soft"/, { softTopK: "soft" }],
    ["epsilon", /epsilon is 0/, { epsilon: 0 }],
    ["iterations", /iterations is 0/, { iterations: 0 }],
    ["epsilonDecay", /epsilonDecay is 1\.5/, { epsilonDecay: 1.5 }],
    ["lambda", /lambda is -1/, { lambda: -1 }],
    ["seed", /seed is 4294967296/, { seed: 2 ** 32 }],
    ["seed", /seed is -1/, { seed: -1 }],
    ["router", /router is \{\}/, { router: {} }],
    ["router", /router is 3/, { router: 3 }],
    ["rate", /rate is 1/, { rate: 1 }],
  ])("%s", (field, pattern, options) => {
    expect(() => coda(anything(options))).toThrow(
      expect.objectContaining({
        code: "BAD_CONFIG",
        where: `coda.${field}`,
        message: expect.stringMatching(pattern) as string,
      }) as Error,
    );
  });

  test("routers by name and by their own options", () => {
    expect(() => coda(anything({ router: "constructor" }))).toThrow(
      expect.objectContaining({ code: "UNKNOWN_NAME", where: "coda.router" }) as Error,
    );
    expect(() => coda(anything({ router: "oracle" }))).toThrow(/no router "oracle"/);
    for (const threshold of [NaN, Infinity]) expect(() => routers.threshold({ threshold })).toThrow(/threshold is/);
    for (const keyReduction of [0.5, NaN]) expect(() => routers.separate({ keyReduction })).toThrow(/keyReduction is/);
  });
});

describe.each(["albert", "gpt2", "kwt"])("on a tiny %s", (family) => {
  let given: CodaCase;
  let bits: Float32Array;
  let huge: LivelyAdapter;

  beforeAll(async () => {
    given = await codaCase(family);
    const { shape } = given.model.host;
    // One unit, which is 0 for some tokens and blows up in f32 for the others.
    const config = {
      layer_adapter: true,
      bottleneck_width: 1,
      non_linearity: "relu",
      scaling: 1000,
      leave_out: [1, 2].slice(0, shape.layers - 1),
    };
    huge = lively(shape, config, 4);
    (huge.tensors["layers.0.adapter_up.weight"] as { data: Float32Array }).data.fill(1e38);
    (huge.tensors["layers.0.adapter_up.bias"] as { data: Float32Array }).data.fill(0);
    await given.model.addAdapter("huge", huge);
    bits = hiddenOf(await runRouted(given, { ...good, weights: weightsFor(given, 2, ["score"]) }));
  });
  afterAll(async () => given.model.dispose());

  /** One error; afterwards a run gives what it gave. */
  async function refused(code: string, pattern: RegExp, act: () => Promise<unknown> | unknown): Promise<EngineError> {
    let caught: unknown;
    try {
      await act();
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(EngineError);
    expect(caught).toMatchObject({ code, message: expect.stringMatching(pattern) as string });
    given.model.setActive(null);
    expect(hiddenOf(await runRouted(given, { ...good, weights: weightsFor(given, 2, ["score"]) }))).toEqual(bits);
    return caught as EngineError;
  }

  const set = (options: CodaOptions): void => given.model.setRouting(coda(options));

  test("vectors and reductions that do not fit the host", async () => {
    const { width, layers } = given.model.host.shape;
    const vector = (length = width, value = 0.1): Float32Array => new Float32Array(length).fill(value);
    const all = (value: Float32Array, count = layers): Float32Array[] => Array.from({ length: count }, () => value);
    await refused("BAD_CONFIG", new RegExp(`holds 1 vectors of ${width}, expected ${layers} of ${width}`), () =>
      set({ ...good, weights: [vector()] }),
    );
    await refused("BAD_CONFIG", /holds 0 vectors, expected/, () => set({ ...good, weights: [] }));
    await refused("BAD_CONFIG", /the host's width/, () => set({ ...good, weights: all(vector(width + 1)) }));
    await refused("BAD_CONFIG", new RegExp(`expected ${2 * layers} of`), () =>
      set({ ...good, router: "separate", weights: all(vector()) }),
    );
    await refused("BAD_CONFIG", /expected 0 of/, () => set({ ...good, router: "norm", weights: all(vector()) }));
    await refused("BAD_CONFIG", /not finite/, () => set({ ...good, weights: all(vector(width, NaN)) }));
    await refused("BAD_CONFIG", /not finite/, () => set({ ...good, weights: all(vector(width, Infinity)) }));
    await refused("BAD_CONFIG", /lists 5 layers/, () => set({ reduction: [2, 2, 2, 2, 2] }));
    await refused("BAD_CONFIG", /coda\(\.\.\.\) or null/, () => given.model.setRouting({ reduction: 2 } as never));
  });

  test("an adapter that is not here, and one that went away", async () => {
    const { model } = given;
    await refused("UNKNOWN_NAME", /no adapter nobody/, () => set({ ...good, adapter: "nobody" }));
    await model.addAdapter("gone", lively(model.host.shape, { layer_adapter: true, reduction_factor: 4 }, 1));
    set({ ...good, adapter: "gone" });
    model.removeAdapter("gone");
    await refused("UNKNOWN_NAME", /no adapter gone/, () => model.run(given.input));
  });

  test.each<[string, Partial<CodaOptions>, RunOptions]>([
    ["learned", {}, {}],
    ["learned, its choice not asked for", {}, { outputs: ["hidden"] }],
    ["in blocks", { block: 3 }, {}],
    ["threshold", { router: "threshold" }, { outputs: [] }],
    ["a part", { part: "attention", attention: "k-to-all" }, {}],
  ])("a score that is no number is named: %s", async (_, own, run) => {
    const { model } = given;
    const options = { ...good, weights: weightsFor(given, 2, ["score"]), lambda: 0, ...own };
    model.setActive(null);
    const { captures, hidden } = await runRouted(given, options);
    // The first token of the third sequence at which the unit is on.
    const x = captures["layers.0.input"] as Parameters<typeof rowsOf>[0];
    const plain = given.plain(0);
    const read = plain.pre ? normed(rowsOf(x, 2), plain) : rowsOf(x, 2);
    const { tensors } = huge;
    const unit = linear(
      read,
      tensors["layers.0.adapter_down.0.weight"]?.data as Float32Array,
      tensors["layers.0.adapter_down.0.bias"]?.data,
    );
    const token = unit.findIndex(([value]) => (value as number) > 1e-3);
    expect(token).toBeGreaterThanOrEqual(0);
    const row = (hidden?.segments?.[2] as number) + token;
    const adapters = [null, null, "huge"];
    const message = new RegExp(
      `^layer 1: the router's score of row ${row} \\(sequence 2, token ${token}\\) is not a number$`,
    );
    const error = await refused("BAD_INPUT", message, async () => {
      model.setRouting(coda(options));
      await model.run(given.input, { adapters, ...run });
    });
    expect(error.where).toBe("layers.1");
    expect(error.fix).not.toBe("");
    expect(isScoreFault(error)).toBe(true);
    expect(error.cause).toMatchObject({ layer: 1, sequence: 2, token });
  });

  test("a score of the key router that is no number is named as such", async () => {
    const { model } = given;
    const { layers, width } = model.host.shape;
    const large = Float32Array.from({ length: width }, (_, i) => (i % 2 === 0 ? 3e38 : -3e38));
    const weights = [...weightsFor(given, 2, ["score"]), ...Array.from({ length: layers }, () => large)];
    await refused(
      "BAD_INPUT",
      /^layer 0: the key router's score of row \d+ \(sequence \d, token \d+\) is not a number$/,
      async () => {
        set({ ...good, router: "separate", weights });
        await model.run(given.input);
      },
    );
  });

  test("a router that throws, or builds something of the wrong shape, leaves the model as it was", async () => {
    const own = (score: Router["score"]): Router => ({ name: "own", settings: {}, vectors: [], score });
    const failing = own(() => {
      throw new EngineError("BAD_CONFIG", "own: no");
    });
    await refused("BAD_CONFIG", /own: no/, () => set({ ...good, router: failing }));
    await refused("SHAPE", /scores/, () => set({ ...good, router: own(({ x }) => ({ scores: x, weights: x })) }));
  });

  test("a router whose rule says another selection than the k largest must bring it", async () => {
    const { choose, given: named, ...ranking } = routers.oracle({ indices: () => [0] });
    const [counted] = [routers.threshold().rule];
    for (const [router, message] of [
      [ranking, /oracle has a rule of the kind "given" without choose and given$/],
      [{ ...ranking, choose }, /"given" without given$/],
      [{ ...ranking, given: named }, /"given" without choose$/],
      [{ ...routers.norm(), rule: counted }, /norm has a rule of the kind "counted" without choose$/],
    ] as const)
      await refused("BAD_CONFIG", message, () => set({ ...good, router: router as Router }));
  });
});

/** LN1 of a pre-LN host. */
function normed(x: number[][], { weight, eps }: ReturnType<CodaCase["plain"]>): number[][] {
  return x.map((row) => {
    const mean = row.reduce((a, b) => a + b, 0) / row.length;
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / row.length;
    return row.map(
      (v, i) =>
        ((v - mean) / Math.sqrt(variance + eps)) * (weight("norm1.weight")[i] as number) +
        (weight("norm1.bias")[i] as number),
    );
  });
}
