/** @file Fusion tools: averages over rows, pruning against the fusion of the rest, forced weights, dropped layers, and their undoing. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AdapterTensor, AdapterTensors } from "../../src/adapters/tensors.ts";
import { averageFusionWeights, dropFusion, forceFusion, fuse, loadModel, pruneFusion, stack } from "../../src/node.ts";
import type { CompositionInput, FusionAverage, FusionInput, Model, Tensor } from "../../src/node.ts";
import { normal } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import { randomAdapter } from "./random-adapter.ts";

const tiny = tinyModel("bert", { num_hidden_layers: 3 });
const ids = [[3, 7, 11, 2], [5], [1, 2, 3, 4, 5, 6, 7]];
const others = [[9, 8, 7, 6, 5]];
const ABC = "a,b,c";
/** One step of f32 rounding per row of at most 12 that are summed, for weights of at most 1. */
const MEAN_TOLERANCE = 12 * 2 ** -24;

/** As the last of a fusion an adapter says where the host's norms stand: c says it otherwise than the others. */
const otherNorms = { original_ln_before: true, original_ln_after: false };

/** The adapters differ in width, activation and places, so that who is pruned changes what the others compute with. */
const adapters = {
  a: randomAdapter(tiny.host.shape, 1),
  b: randomAdapter(tiny.host.shape, 2, { reduction_factor: 2, non_linearity: "gelu" }),
  c: randomAdapter(tiny.host.shape, 3, { ...otherNorms, mh_adapter: true, leave_out: [1] }),
};

function fusionTensors(seed: number, layers: readonly number[], places: readonly string[]): AdapterTensors {
  const tensors = new Map<string, { data: Float32Array; shape: readonly number[] }>();
  for (const layer of layers)
    for (const [at, place] of places.entries())
      for (const [part, name] of ["query", "key", "value"].entries()) {
        const key = `layers.${layer}.${place}.${name}`;
        const own = seed + 100 * layer + 10 * at + part;
        tensors.set(`${key}.weight`, { data: normal(own, 32 * 32, 0.3), shape: [32, 32] });
        if (name !== "value") tensors.set(`${key}.bias`, { data: normal(own + 5000, 32, 0.3), shape: [32] });
      }
  return tensors;
}

/** c stands at the attention of layers 0 and 2; after the feed-forward part a and b stand everywhere. */
const fusion = new Map([...fusionTensors(1, [0, 1, 2], ["ffn"]), ...fusionTensors(7, [0, 2], ["attention"])]);

async function load(names: readonly (keyof typeof adapters)[], fused: readonly string[] = names): Promise<Model> {
  const model = await loadModel(await sharedGpu(), tiny.folder);
  for (const name of names) await model.addAdapter(name, adapters[name]);
  const places = fused.includes("c") ? [...fusion] : [...fusion].filter(([key]) => !key.includes("attention"));
  if (fused.length > 0) await model.addFusion(fused, { config: "dynamic", tensors: Object.fromEntries(places) });
  return model;
}

async function hidden(model: Model, composition: CompositionInput, input: number[][] = ids): Promise<Float32Array> {
  model.setActive(composition);
  return (await model.run({ ids: input })).hidden?.data as Float32Array;
}

let model: Model;
beforeAll(async () => {
  model = await load(["a", "b", "c"]);
});
afterAll(() => model.dispose());

const all = fuse("a", "b", "c");

test("fresh matrices follow from their seed", async () => {
  const queryOf = async (input: FusionInput): Promise<Float32Array> => {
    const own = await load(["a", "b"], []);
    await own.addFusion(["a", "b"], input);
    const { data } = own.contents.fusion("a,b").tensors.get("layers.0.ffn.query.weight") as AdapterTensor;
    await own.dispose();
    return data;
  };
  const [first, again, second] = [1, 1, 2].map((seed) => ({ config: "dynamic", seed })) as [
    FusionInput,
    FusionInput,
    FusionInput,
  ];
  expect(await queryOf(first)).toEqual(await queryOf(again));
  expect(await queryOf(first)).not.toEqual(await queryOf(second));
  expect(await queryOf("dynamic")).toEqual(await queryOf({ config: "dynamic", seed: 0 }));
});

describe("averages", () => {
  test("are the means of the captured weights over all rows of all batches", async () => {
    model.setActive(all);
    const averages = await averageFusionWeights(model, ABC, [{ ids }, { ids: others }]);
    expect(averages.map(({ layer, place }) => `${layer}.${place}`).sort()).toEqual([
      "0.attention",
      "0.ffn",
      "1.ffn",
      "2.attention",
      "2.ffn",
    ]);
    for (const { layer, place, weights } of averages) {
      const names = place === "attention" ? ["c"] : layer === 1 ? ["a", "b"] : ["a", "b", "c"];
      expect(Object.keys(weights)).toEqual(names);
      const key = `layers.${layer}.${place === "ffn" ? "" : "attention."}fusion.weights`;
      const rows: number[][] = [];
      for (const input of [ids, others]) {
        const { data, shape } = (await model.run({ ids: input }, { capture: [key] })).captures[key] as Tensor;
        expect(shape[1]).toBe(names.length);
        for (let row = 0; row < (shape[0] as number); row += 1)
          rows.push(Array.from(data.subarray(row * names.length, (row + 1) * names.length)));
      }
      expect(rows).toHaveLength(17);
      names.forEach((name, at) => {
        const mean = rows.reduce((sum, row) => sum + (row[at] as number), 0) / rows.length;
        expect(Math.abs((weights[name] as number) - mean)).toBeLessThanOrEqual(MEAN_TOLERANCE);
      });
    }
    // Weights that did not differ could not tell a column from another.
    const ffn = averages.find(({ layer, place }) => layer === 0 && place === "ffn") as FusionAverage;
    expect(new Set(Object.values(ffn.weights)).size).toBe(3);
  });

  test("leave out what does not run", async () => {
    model.setActive(all);
    await dropFusion(model, ABC, 1);
    model.dropAdapters({ layers: [2] });
    const averages = await averageFusionWeights(model, ABC, [{ ids }]);
    expect(averages.map(({ layer, place }) => `${layer}.${place}`)).toEqual(["1.ffn"]);
    model.dropAdapters(null);
    await dropFusion(model, ABC, null);
  });

  test("ask for the fusion to be active, alone, and for rows", async () => {
    model.setActive("a");
    await expect(averageFusionWeights(model, ABC, [{ ids }])).rejects.toThrowError(/does not hold the fusion a,b,c/);
    await expect(averageFusionWeights(model, "a,b", [{ ids }])).rejects.toThrowError(/no fusion weights for a,b/);
    model.setActive(all);
    await expect(averageFusionWeights(model, ABC, [])).rejects.toThrowError(/saw no rows/);
  });
});

describe("pruning", () => {
  const pairs = [
    { removed: "a", rest: ["b", "c"] },
    { removed: "b", rest: ["a", "c"] },
    { removed: "c", rest: ["a", "b"] },
  ] as const;
  test.each(pairs)("without $removed it is the fusion of $rest, bit for bit", async ({ removed, rest }) => {
    const whole = await hidden(model, all);
    const made = await load(rest);
    for (const compat of [null, "adapters-1.2"] as const) {
      await pruneFusion(model, ABC, { remove: [removed] });
      model.setActive(all, { compat });
      made.setActive(fuse(...rest), { compat });
      const [pruned, expected] = [await model.run({ ids }), await made.run({ ids })];
      expect(pruned.hidden?.data).toEqual(expected.hidden?.data);
    }
    expect(await hidden(model, all)).not.toEqual(whole);
    await pruneFusion(model, ABC, null);
    expect(await hidden(model, all)).toEqual(whole);
    await made.dispose();
  });

  test("one adapter may be left: its weight is 1, and Wv still counts", async () => {
    await pruneFusion(model, ABC, { remove: ["b", "c"] });
    model.setActive(all);
    const key = "layers.0.fusion.weights";
    const out = await model.run({ ids }, { capture: [key] });
    expect(new Set((out.captures[key] as Tensor).data)).toEqual(new Set([1]));
    expect(out.hidden?.data).not.toEqual(await hidden(model, "a"));
    await pruneFusion(model, ABC, null);
  });

  test("keeps the most active ones of every layer, by averages", async () => {
    model.setActive(all);
    const averages = await averageFusionWeights(model, ABC, [{ ids }]);
    await pruneFusion(model, ABC, { keep: 1, averages });
    const left = new Map(model.contents.fusionMembers(ABC).map((at) => [`${at.layer}.${at.place}`, at.adapters]));
    for (const { layer, place, weights } of averages) {
      const best = Object.entries(weights).reduce((most, one) => (one[1] > most[1] ? one : most))[0];
      expect(left.get(`${layer}.${place}`)).toEqual([best]);
    }
    // The same sets, named one by one, are the same model.
    const byKeeping = await hidden(model, all);
    const places = averages.map(({ layer, place }) => ({
      layer,
      place,
      remove: ["a", "b", "c"].filter((name) => left.get(`${layer}.${place}`)?.includes(name) !== true),
    }));
    await pruneFusion(model, ABC, { places });
    expect(await hidden(model, all)).toEqual(byKeeping);
    await pruneFusion(model, ABC, null);
  });

  test("pruning again keeps removed what was not measured; equal weights keep the first", async () => {
    const equal = (weights: Record<string, number>): FusionAverage[] =>
      model.contents.fusionMembers(ABC).map(({ layer, place, adapters: names }) => {
        const known = Object.entries(weights).filter(([name]) => names.includes(name));
        return { layer, place, weights: Object.fromEntries(known) };
      });
    await pruneFusion(model, ABC, { keep: 2, averages: equal({ a: 0.25, b: 0.5, c: 0.25 }) });
    expect(
      model.contents.fusionMembers(ABC).find(({ layer, place }) => layer === 2 && place === "ffn")?.adapters,
    ).toEqual(["a", "b"]);
    await pruneFusion(model, ABC, null);
    await pruneFusion(model, ABC, { keep: 2, averages: equal({ a: 0.5, c: 0.5 }) });
    expect(model.contents.fusion(ABC).pruned.get("0.ffn")).toEqual(new Set(["b"]));
    await pruneFusion(model, ABC, null);
  });

  test("different layers may lose different adapters", async () => {
    const whole = await hidden(model, all);
    await pruneFusion(model, ABC, {
      places: [
        { layer: 0, place: "ffn", remove: ["a"] },
        { layer: 2, remove: ["b"] },
      ],
    });
    const keys = ["layers.0.fusion.weights", "layers.1.fusion.weights", "layers.2.fusion.weights", "layers.0.output"];
    const { captures } = await model.run({ ids }, { capture: keys });
    expect(keys.slice(0, 3).map((key) => (captures[key] as Tensor).shape[1])).toEqual([2, 2, 2]);
    // Layer 0 alone is that of a model that lost its adapter everywhere.
    const made = await load(["b", "c"]);
    made.setActive(fuse("b", "c"));
    const alone = await made.run({ ids }, { capture: ["layers.0.output"] });
    expect((captures["layers.0.output"] as Tensor).data).toEqual((alone.captures["layers.0.output"] as Tensor).data);
    await made.dispose();
    await pruneFusion(model, ABC, null);
    expect(await hidden(model, all)).toEqual(whole);
  });

  test("inside a stack, with a child that is a stack", async () => {
    const nested = stack("a", fuse("a", stack("a", "b"), "c"));
    const whole = await hidden(model, nested);
    await pruneFusion(model, ABC, { remove: ["c"] });
    const pruned = await hidden(model, nested);
    expect(pruned).not.toEqual(whole);
    const made = await load(["a", "b"]);
    expect(pruned).toEqual(await hidden(made, stack("a", fuse("a", stack("a", "b")))));
    await made.dispose();
    await pruneFusion(model, ABC, null);
  });

  test("a stack that ends in an adapter stands where any of its adapters does", async () => {
    model.setActive(fuse("a", stack("c", "b"), "c"));
    const averages = await averageFusionWeights(model, ABC, [{ ids }]);
    const at = (layer: number, place: string): string[] =>
      Object.keys(averages.find((one) => one.layer === layer && one.place === place)?.weights ?? {});
    expect(at(0, "attention")).toEqual(["b", "c"]);
    expect(at(1, "ffn")).toEqual(["a", "b"]);
  });

  test("what cannot be is refused by name, and nothing changes", async () => {
    const before = await hidden(model, all);
    const refuse = async (pruning: Parameters<typeof pruneFusion>[2], pattern: RegExp): Promise<void> =>
      expect(pruneFusion(model, ABC, pruning)).rejects.toThrowError(pattern);
    await refuse({ remove: ["x"] }, /does not join x/);
    await refuse({ remove: ["a", "b", "c"] }, /would leave no adapter at layer 0/);
    await refuse({ places: [{ layer: 1, remove: ["a", "b"] }] }, /would leave no adapter at layer 1, ffn/);
    await refuse(
      { places: [{ layer: 1, place: "attention", remove: ["a"] }] },
      /layer 1, attention, where it does not stand/,
    );
    await refuse({ keep: 0, averages: [] }, /keep is 0/);
    await refuse({ keep: 1, averages: [] }, /no averages for layer 0, attention/);
    await expect(pruneFusion(model, "a,b", null)).rejects.toThrowError(/no fusion weights for a,b/);
    expect(await hidden(model, all)).toEqual(before);
  });
});

describe("forcing and dropping", () => {
  test("a forced weight is 0, the others stay as they were, and the outputs of the layer below too", async () => {
    model.setActive(all);
    const capture = ["layers.0.fusion.weights", "layers.0.attention.output"];
    const before = await model.run({ ids }, { capture });
    await forceFusion(model, ABC, ["b"]);
    const after = await model.run({ ids }, { capture });
    const [was, is] = [before, after].map(({ captures }) => captures["layers.0.fusion.weights"] as Tensor);
    expect(is?.data).toEqual(was?.data.map((weight, at) => (at % 3 === 1 ? 0 : weight)));
    expect(after.hidden?.data).not.toEqual(before.hidden?.data);
    await forceFusion(model, ABC, null);
    expect(await hidden(model, all)).toEqual(before.hidden?.data);
    await expect(forceFusion(model, ABC, ["x"])).rejects.toThrowError(/does not join x/);
  });

  test("dropped layers are those of a model without adapters there", async () => {
    const whole = await hidden(model, all);
    model.dropAdapters({ layers: 2 });
    const expected = await hidden(model, all);
    model.dropAdapters(null);
    await dropFusion(model, ABC, 2);
    expect(await hidden(model, all)).toEqual(expected);
    await dropFusion(model, ABC, [0, 1]);
    expect(await hidden(model, all)).toEqual(expected);
    await dropFusion(model, ABC, null);
    expect(await hidden(model, all)).toEqual(whole);
    await expect(dropFusion(model, ABC, 4)).rejects.toThrowError(/layers is 4, expected a number up to 3/);
    await expect(dropFusion(model, ABC, [3])).rejects.toThrowError(/layers is \[3\]/);
  });

  test("a run that was called before keeps its fusion", async () => {
    model.setActive(all);
    const expected = await hidden(model, all);
    const running = model.run({ ids });
    const changing = pruneFusion(model, ABC, { remove: ["a"] });
    expect((await running).hidden?.data).toEqual(expected);
    await changing;
    expect(await hidden(model, all)).not.toEqual(expected);
    await pruneFusion(model, ABC, null);
  });
});
