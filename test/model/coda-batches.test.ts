/** @file Routed plans: a batch gives the bits of its sequences, warm runs create nothing, plans are shared by what they compute, captures cost nothing unasked. */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { LoadOptions } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { RunInput } from "../../src/model/types.ts";
import { activation } from "../../src/ops/activation.ts";
import { rowDot } from "../../src/ops/row-dot.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import type { Router } from "../../src/routing/router.ts";
import { routerNames, routers } from "../../src/routing/routers/index.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import { MATTERS, inputOf, joined, sequencesOf } from "./coda-case.ts";
import { NOTHING, createdBy, hiddenOf, lively } from "./lively.ts";
import { relativeError } from "./truth.ts";

/** One capacity for all plans: bits depend on the variants that a capacity chooses. */
const ONE_PLAN: LoadOptions = { maxRows: 64 };
const LENGTHS = [8, 2, 5];
const ADAPTERS = {
  layer: { layer_adapter: true, reduction_factor: 4, non_linearity: "gelu" },
  gated: { mh_adapter: true, output_adapter: true, reduction_factor: 8, non_linearity: "relu", use_gating: true },
  lora: { architecture: "lora", r: 3, attn_matrices: ["q", "v"] },
};
const NAMES = [...routerNames, "oracle", "blocks"];

/** A policy of every router, an oracle of the first token and block-wise selection among them. */
function policyOf(name: string, own: Partial<CodaOptions> = {}): CodaOptions {
  const base: CodaOptions = { reduction: 2, seed: 3, ...own };
  if (name === "blocks") return { ...base, block: 3 };
  return { ...base, router: name === "oracle" ? routers.oracle({ indices: () => [0] }) : name };
}

describe.each(["albert", "gpt2", "kwt"])("on a tiny %s", (family) => {
  let gpu: Gpu;
  let model: Model;
  const input = inputOf(family, LENGTHS);
  const run = async (options: CodaOptions | null, given: RunInput = input): Promise<Float32Array> => {
    model.setRouting(options === null ? null : coda(options));
    return hiddenOf(await model.run(given));
  };

  const load = async (): Promise<Model> => {
    const loaded = await loadFolder(gpu, tinyModel(family).folder, ONE_PLAN);
    for (const [index, [name, config]] of Object.entries(ADAPTERS).entries())
      await loaded.addAdapter(name, lively(loaded.host.shape, config, index + 1));
    return loaded;
  };

  beforeAll(async () => {
    gpu = await sharedGpu();
    model = await load();
    model.setActive("layer");
  });
  afterAll(async () => model.dispose());

  test.each(NAMES)("%s: a batch gives the bits of its sequences, in any order", async (name) => {
    const options = policyOf(name);
    const sequences = sequencesOf(input);
    const batch = await run(options);
    const alone: Float32Array[] = [];
    for (const one of sequences) alone.push(await run(options, one));
    expect(batch).toEqual(Float32Array.from(alone.flatMap((data) => [...data])));
    const shuffled = await run(options, joined([2, 0, 1].map((index) => sequences[index] as RunInput)));
    expect(shuffled).toEqual(Float32Array.from([2, 0, 1].flatMap((index) => [...(alone[index] as Float32Array)])));
  });

  test.each(NAMES)("%s: warm runs of any lengths create nothing", async (name) => {
    const set = (seed: number): void => model.setRouting(coda(policyOf(name, name === "random" ? {} : { seed })));
    set(1);
    const first = hiddenOf(await model.run(input));
    await model.run(inputOf(family, [8, 8, 8, 8]));
    const created = await createdBy(gpu, async () => {
      for (const lengths of [[8], [2, 2, 3], [8, 7, 5, 8]]) await model.run(inputOf(family, lengths));
      set(2);
      await model.run(input);
      set(1);
      expect(hiddenOf(await model.run(input))).toEqual(first);
    });
    expect(created).toEqual(NOTHING);
  });

  test.each(NAMES)("%s: an empty batch gives empty results", async (name) => {
    model.setRouting(coda(policyOf(name)));
    const kind = family === "kwt" ? "features" : "ids";
    const out = await model.run({ [kind]: [] });
    expect(out.hidden?.shape).toEqual([0, model.host.shape.width]);
    expect(out.routing).toHaveLength(model.host.shape.layers);
    expect(out.routing?.every((layer) => layer?.selected.length === 0 && layer.scores.length === 0)).toBe(true);
  });

  test("a task per sequence, from the bank, is each sequence with its task", async () => {
    const adapters = ["gated", "lora", "layer"];
    for (const name of ["learned", "separate", "threshold"]) {
      const options = policyOf(name, { attention: "k-to-all" });
      model.setRouting(coda(options));
      const mixed = await model.run(input, { adapters });
      for (const [s, one] of sequencesOf(input).entries()) {
        model.setActive(adapters[s] as string);
        const single = hiddenOf(await model.run(one));
        expect(relativeError(hiddenOf(mixed, s), single)).toBeLessThan(5e-6);
        model.setActive(null);
        // A threshold may select nothing of a sequence: then what stands on its heavy path does not run.
        if (name === "threshold") continue;
        expect(relativeError(hiddenOf(await model.run(one)), single)).toBeGreaterThan(MATTERS);
      }
    }
    model.setActive("layer");
  });

  test("routers of one name and other code never share a plan; those of other names and one code do", async () => {
    const own = (name: string, kind: "sigmoid" | "tanh"): Router => ({
      name,
      settings: {},
      vectors: ["score"],
      score: ({ b, x, vector }) => {
        const scores = b.op(rowDot, { x, w: vector("score") }, {}).y as never;
        return { scores, weights: b.op(activation, { x: scores }, { kind }).y as never };
      },
    });
    const bySigmoid = await run(policyOf("sigmoid"));
    const first = await run({ ...policyOf("learned"), router: own("mine", "sigmoid") });
    const second = await run({ ...policyOf("learned"), router: own("mine", "tanh") });
    expect(first).toEqual(bySigmoid);
    expect(relativeError(second, first)).toBeGreaterThan(MATTERS);
    const created = await createdBy(gpu, async () => {
      expect(await run({ ...policyOf("learned"), router: own("mine", "sigmoid") })).toEqual(first);
      expect(await run({ ...policyOf("learned"), router: own("yours", "tanh") })).toEqual(second);
      expect(await run(policyOf("sigmoid"))).toEqual(first);
    });
    expect(created).toEqual(NOTHING);
  });

  test("vectors, seeds of vectors and named rows are data: they create nothing and count from the next run", async () => {
    const { width, layers } = model.host.shape;
    const vectors = Array.from({ length: layers }, (_, layer) =>
      Float32Array.from({ length: width }, (__, i) => ((i * 7 + layer) % 5) - 2),
    );
    const drawn = await run(policyOf("learned"));
    const byLast = await run({ ...policyOf("oracle"), router: routers.oracle({ indices: (_, __, n) => [n - 1] }) });
    const created = await createdBy(gpu, async () => {
      const given = await run({ ...policyOf("learned"), weights: vectors });
      expect(relativeError(given, drawn)).toBeGreaterThan(MATTERS);
      // What was handed over is not changed from outside.
      vectors.forEach((vector) => vector.fill(0));
      expect(hiddenOf(await model.run(input))).toEqual(given);
      expect(relativeError(await run(policyOf("learned", { seed: 8 })), drawn)).toBeGreaterThan(MATTERS);
      expect(await run(policyOf("learned"))).toEqual(drawn);
      expect(relativeError(await run(policyOf("oracle")), byLast)).toBeGreaterThan(MATTERS);
    });
    expect(created).toEqual(NOTHING);
  });

  test("a run sees the policy that was set when it was called", async () => {
    const [learned, strided] = [await run(policyOf("learned")), await run(policyOf("strided"))];
    model.setRouting(coda(policyOf("learned")));
    const first = model.run(input);
    model.setRouting(coda(policyOf("strided")));
    const second = model.run(input);
    model.setRouting(null);
    expect(hiddenOf(await first)).toEqual(learned);
    expect(hiddenOf(await second)).toEqual(strided);
  });

  test("capture points that nobody captures cost no launch", async () => {
    const names = ["learned", "separate", "blocks", "threshold"];
    const count = async (of: Model, capture: string[], which = names): Promise<number[]> => {
      const counts: number[] = [];
      of.setActive("gated");
      for (const name of [null, ...which]) {
        of.setRouting(name === null ? null : coda(policyOf(name)));
        counts.push((await of.explain(LENGTHS, { capture })).launches);
      }
      return counts;
    };
    const named = await count(model, []);
    const captured = await count(model, ["layers.0.attention.probabilities"], names.slice(0, 3));
    expect(captured).toEqual(named.slice(0, 4).map((launches) => launches + 1));
    const unnamed = vi.spyOn(GraphBuilder.prototype, "name").mockImplementation((_, value) => value);
    const other = await load();
    try {
      expect(await count(other, [])).toEqual(named);
    } finally {
      unnamed.mockRestore();
      await other.dispose();
      model.setActive("layer");
    }
  });
});
