/** @file Rows that are named from outside, at random, or counted on the GPU: capacities, empty choices, reruns, other batches; and what is refused of them. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import type { RunOutput, Tensor } from "../../src/model/types.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import { routers } from "../../src/routing/routers/index.ts";
import type { OracleIndices } from "../../src/routing/routers/index.ts";
import { EPSILON, MATTERS, expectLayers, joined, litCase, runRouted, sequencesOf, weightsFor } from "./coda-case.ts";
import type { LitCase } from "./coda-case.ts";
import { hiddenOf } from "./lively.ts";
import { relativeError } from "./truth.ts";

const LIGHT = { layer_adapter: true, reduction_factor: 4, non_linearity: "relu" };

describe.each(["albert", "gpt2", "kwt"])("on a tiny %s", (family) => {
  let given: LitCase;

  beforeAll(async () => {
    given = await litCase(family, LIGHT, 5);
  });
  afterAll(async () => given.model.dispose());

  const oracle = (indices: OracleIndices, own: Partial<CodaOptions> = {}): CodaOptions => ({
    reduction: 2,
    router: routers.oracle({ indices }),
    ...own,
  });
  const bitsOf = async (options: CodaOptions): Promise<Float32Array> => {
    given.model.setRouting(coda(options));
    return hiddenOf(await given.model.run(given.input));
  };
  /** The places that a run selected, by sequence and layer. */
  const placesOf = ({ routing, hidden }: RunOutput): ((sequence: number, layer: number) => number[]) => {
    const { segments } = hidden as Required<Tensor>;
    return (sequence, layer) => {
      const [from, to] = [segments[sequence] as number, segments[sequence + 1] as number];
      const rows = Array.from(routing?.[layer]?.selected ?? []);
      return rows.filter((row) => row >= from && row < to).map((row) => row - from);
    };
  };

  describe("oracle", () => {
    test("lists and a function that says the same are the same, and a choice replayed gives the bits of the run", async () => {
      const lists = given.lengths.map((length) => (length < 4 ? [] : [3, 0]));
      const byList = await bitsOf(oracle(lists));
      expect(await bitsOf(oracle((sequence) => lists[sequence] as number[]))).toEqual(byList);
      const options: CodaOptions = { reduction: 2, lambda: 1, weights: weightsFor(given, 2, ["score"]) };
      const learned = await runRouted(given, options);
      const replayed = await runRouted(given, oracle(placesOf(learned)));
      expect(replayed.routing?.map((layer) => layer?.selected)).toEqual(
        learned.routing?.map((layer) => layer?.selected),
      );
      expect(hiddenOf(replayed)).toEqual(hiddenOf(learned));
    });

    test.each(["k-to-k", "k-to-all"] as const)("of nothing at all: only the light path runs, %s", async (attention) => {
      const none = (): number[] => [];
      const options = oracle(none, { attention });
      const out = await runRouted(given, options);
      expectLayers(given, out, options, {
        router: "oracle",
        places: none,
        all: attention === "k-to-all",
        light: given.lit,
      });
      const capture = ["layers.0.attention.probabilities", "layers.0.attention.output"];
      const captured = await runRouted(given, options, { capture });
      expect((captured.captures[capture[0] as string] as Tensor[]).map(({ shape }) => shape[1])).toEqual(
        given.lengths.map(() => 0),
      );
      expect(captured.captures[capture[1] as string]).toMatchObject({ shape: [0, given.tiny.host.shape.width] });
    });

    test.each<[string, RegExp, OracleIndices]>([
      ["out of range", /sequence 1 in layer 0: \d+ is no token of a sequence of/, (s, _, n) => (s === 1 ? [n] : [])],
      ["below 0", /sequence 0 in layer 1: -1 is no token/, (s, layer) => (s === 0 && layer === 1 ? [-1] : [])],
      ["not whole", /sequence 0 in layer 0: 0\.5 is no token/, () => [0.5]],
      ["not a number", /sequence 0 in layer 0: NaN is no token/, () => [NaN]],
      ["named twice", /sequence 2 in layer 0: 2 is named twice/, (s) => (s === 2 ? [2, 1, 2] : [])],
      [
        "over the capacity",
        /sequence 0 in layer 0: (\d+) tokens are named, the capacity is ceil\(\d+ \/ 2\) = \d+/,
        (_, __, n) => Array.from({ length: n }, (___, i) => i),
      ],
      ["without a list", /indices holds 1 lists, and the batch has a sequence 1/, [[0]]],
    ])("a place %s is refused, and the model goes on with the same bits", async (_, pattern, indices) => {
      const before = await bitsOf(oracle(() => [0]));
      const error = await bitsOf(oracle(indices)).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(EngineError);
      expect(error).toMatchObject({ code: "BAD_INPUT", where: "coda.router.indices" });
      expect((error as EngineError).message).toMatch(pattern);
      expect(await bitsOf(oracle(() => [0]))).toEqual(before);
    });
  });

  describe("random", () => {
    const options: CodaOptions = { reduction: 2, router: "random" };

    test("a sequence selects the same tokens in every batch, others select others", async () => {
      const { model, tiny } = given;
      const sequences = sequencesOf(given.input);
      model.setRouting(coda(options));
      const batch = placesOf(await model.run(given.input));
      for (const [index, one] of sequences.entries()) {
        const alone = placesOf(await model.run(one));
        const last = placesOf(await model.run(joined([...sequences, one].reverse())));
        for (let layer = 0; layer < tiny.host.shape.layers; layer += 1) {
          expect(alone(0, layer)).toEqual(batch(index, layer));
          expect(last(0, layer)).toEqual(batch(index, layer));
        }
      }
    });

    test("other layers, seeds and contents of one length select others", async () => {
      const { model } = given;
      const longest = sequencesOf(given.input)[0] as Record<string, never[]>;
      const twin = structuredClone(longest) as { ids?: number[][]; features?: { data: Float32Array }[] };
      const [ids, features] = [twin.ids?.[0], twin.features?.[0]];
      if (ids !== undefined) ids[0] = 29;
      if (features !== undefined) features.data[0] = 0.25;
      model.setRouting(coda(options));
      const one = placesOf(await model.run(longest));
      const changed = placesOf(await model.run(twin as never));
      model.setRouting(coda({ ...options, seed: 1 }));
      const seeded = placesOf(await model.run(longest));
      const layers = [0, 1];
      const all = (of: (sequence: number, layer: number) => number[]): string =>
        layers.map((layer) => of(0, layer).join()).join("|");
      expect(new Set([all(one), all(changed), all(seeded)]).size).toBe(3);
      expect(one(0, 0)).not.toEqual(one(0, 1));
    });
  });

  describe("threshold", () => {
    const options = (above: number, own: Partial<CodaOptions> = {}): CodaOptions => ({
      reduction: 2,
      router: routers.threshold({ threshold: above }),
      weights: weightsFor(given, 2, ["score"]),
      ...own,
    });

    test.each(["k-to-k", "k-to-all"] as const)(
      "selects nothing, some, and up to its capacity, with other counts in other layers, %s",
      async (attention) => {
        const capacity = given.lengths.map((length) => Math.ceil(length / 2));
        const scores = (await runRouted(given, options(0, { attention }))).routing?.map((layer) => layer?.scores) ?? [];
        const highest = Math.max(...(scores[0] as Float32Array));
        const counts = new Set<string>();
        for (const above of [
          -1e6,
          -0.5,
          0.4,
          (highest + Math.max(...[...(scores[0] as Float32Array)].filter((v) => v < highest))) / 2,
          1e6,
        ]) {
          const own = options(above, { attention });
          const out = await runRouted(given, own);
          const choice = { threshold: Math.fround(above) };
          expectLayers(given, out, own, {
            router: "threshold",
            all: attention === "k-to-all",
            choice,
            light: given.lit,
          });
          const places = placesOf(out);
          const found = given.lengths.map((_, sequence) => places(sequence, 0).length);
          found.forEach((count, sequence) => expect(count).toBeLessThanOrEqual(capacity[sequence] as number));
          if (above === -1e6) expect(found).toEqual(capacity);
          if (above === 1e6) expect(found.every((count) => count === 0)).toBe(true);
          counts.add(out.routing?.map((layer) => layer?.selected.length).join() as string);
          // What was run before leaves nothing behind.
          expect(hiddenOf(await runRouted(given, own))).toEqual(hiddenOf(out));
        }
        expect([...counts].some((all) => new Set(all.split(",")).size > 1)).toBe(true);
        expect(counts.size).toBeGreaterThan(2);
      },
    );

    test("gives what an oracle of the same rows gives", async () => {
      for (const attention of ["k-to-k", "k-to-all"] as const) {
        const own = options(0.2, { attention, lambda: 1 });
        const out = await runRouted(given, own);
        const { weights: _, ...rest } = own;
        const replayed = await runRouted(given, { ...rest, router: routers.oracle({ indices: placesOf(out) }) });
        expect(relativeError(hiddenOf(replayed), hiddenOf(out))).toBeLessThan(1e-5);
      }
    });

    test("captured rows that were counted are cut by the sequences they belong to; their probabilities cannot be captured", async () => {
      const name = "layers.1.attention.output";
      const own = options(0.1, { lambda: 1 });
      const out = await runRouted(given, own, { capture: [name] });
      const places = placesOf(out);
      const counts = given.lengths.map((_, sequence) => places(sequence, 1).length);
      expect(new Set(counts).size).toBeGreaterThan(1);
      const { weights: _, ...rest } = own;
      const replay = { ...rest, router: routers.oracle({ indices: places }) };
      const [found, expected] = [out, await runRouted(given, replay, { capture: [name] })].map(
        ({ captures }) => captures[name],
      ) as [Required<Tensor>, Required<Tensor>];
      expect(Array.from(found.segments)).toEqual(counts.reduce((all, n) => [...all, (all.at(-1) as number) + n], [0]));
      expect(found.shape).toEqual(expected.shape);
      expect(found.segments).toEqual(expected.segments);
      expect(relativeError(found.data, expected.data)).toBeLessThan(1e-5);
      await expect(runRouted(given, own, { capture: ["layers.1.attention.probabilities"] })).rejects.toMatchObject({
        code: "UNKNOWN_NAME",
      });
    });
  });

  test("the choices of all routers differ where they should", async () => {
    const seen = new Map<string, string>();
    for (const router of ["truncation", "strided", "random", "norm", "learned"]) {
      const vectors = router === "learned" ? { weights: weightsFor(given, 2, ["score"]), epsilon: EPSILON } : {};
      const out = await runRouted(given, { reduction: 2, router, ...vectors });
      seen.set(router, Array.from(out.routing?.[0]?.selected ?? []).join());
    }
    expect(new Set(seen.values()).size).toBe(seen.size);
    const bits = await bitsOf({ reduction: 2, router: "strided" });
    expect(relativeError(await bitsOf({ reduction: 2, router: "truncation" }), bits)).toBeGreaterThan(MATTERS);
  });
});
