/** @file ViT under the names of Hugging Face: a random checkpoint against a plain float64 pass, dense, adapted and routed. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { adapterFiles } from "../../src/model/save.ts";
import type { LayerRouting, RunOutput, Tensor } from "../../src/model/types.ts";
import { normal } from "../../src/random.ts";
import { coda } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { codaLayer } from "../model/coda-float64.ts";
import { randomAdapter } from "../model/random-adapter.ts";
import type { RandomAdapter } from "../model/random-adapter.ts";
import { relativeError } from "../model/truth.ts";
import { memoryFolder } from "../tiny-models.ts";
import type { Rows, Tensors } from "./bert-plain.ts";
import { activate } from "../../src/reference/activation.ts";
import { IMAGES, NORMALISED, PIXELS, PlainVit, SIZES, plainCheckpoint, plainFolder } from "./vit-plain.ts";
import type { PlainHooks } from "./vit-plain.ts";

/** f32 through two layers of width 24 to 40: sums of at most 48 terms, about ten of them in a row, norms on top. */
const TOLERANCE = 1e-5;
/** λ = exp((s + a) / ε) with ε = 0.3 multiplies the rounding of scores, some 3e-6, by 1/ε; routed rows carry it on. */
const ROUTED_TOLERANCE = 5e-5;
const loaded: Model[] = [];

async function load(
  tensors: Tensors,
  extra: Record<string, unknown> = {},
  options: Parameters<typeof loadFolder>[2] = {},
): Promise<Model> {
  const model = await loadFolder(await sharedGpu(), plainFolder(tensors, extra), options);
  loaded.push(model);
  return model;
}

afterAll(async () => {
  for (const model of loaded) await model.dispose();
});

const hiddenOf = (out: RunOutput): Float32Array => (out.hidden as Tensor).data;

describe("the base", () => {
  let tensors: Tensors;
  let plain: PlainVit;
  let expected: Rows[];
  let model: Model;
  beforeAll(async () => {
    tensors = plainCheckpoint();
    plain = new PlainVit(tensors);
    expected = NORMALISED.map((pixels) => plain.hidden(pixels));
    model = await load(tensors);
  });

  test("hidden states, every capture and logits of bytes and floats in one batch", async () => {
    const captures = [
      "embeddings",
      ...[0, 1].flatMap((layer) =>
        ["input", "attention.probabilities", "attention.output", "ffn.output", "output"].map(
          (name) => `layers.${layer}.${name}`,
        ),
      ),
      "hidden",
    ];
    const out = await model.run({ images: IMAGES }, { capture: captures });
    expect(out.hidden?.shape).toEqual([18, SIZES.width]);
    expect([...(out.hidden?.segments ?? [])]).toEqual([0, 9, 18]);
    expect(relativeError(hiddenOf(out), expected.flat(2))).toBeLessThan(TOLERANCE);
    expect(
      relativeError(
        (out.heads.default as Tensor).data,
        expected.flatMap((rows) => plain.logits(rows)),
      ),
    ).toBeLessThan(TOLERANCE);
    const embedded = NORMALISED.map((pixels) => plain.embed(pixels));
    const first = embedded.map((rows) => plain.layer(rows, 0));
    const capture = (name: string): Float32Array => (out.captures[name] as Tensor).data;
    expect(relativeError(capture("embeddings"), embedded.flat(2))).toBeLessThan(TOLERANCE);
    expect(relativeError(capture("layers.0.output"), first.flat(2))).toBeLessThan(TOLERANCE);
    expect(capture("layers.1.input")).toEqual(capture("layers.0.output"));
    const probabilities = out.captures["layers.0.attention.probabilities"] as Tensor[];
    expect(probabilities.map(({ shape }) => shape)).toEqual([
      [SIZES.heads, 9, 9],
      [SIZES.heads, 9, 9],
    ]);
  });

  test("features in place of images, and images by themselves, are the same bit for bit", async () => {
    const batch = await model.run({ images: IMAGES });
    const [down, across] = SIZES.patch;
    const columns = SIZES.across / across;
    const features = NORMALISED.map((pixels) => {
      const data = new Float32Array(PIXELS);
      pixels.forEach((value, at) => {
        const [c, y, x] = [Math.floor(at / 96), Math.floor((at % 96) / SIZES.across), at % SIZES.across];
        const patch = Math.floor(y / down) * columns + Math.floor(x / across);
        data[patch * 36 + (c * down + (y % down)) * across + (x % across)] = value;
      });
      return { data, shape: [SIZES.patches, 36] };
    });
    expect(hiddenOf(await model.run({ features }))).toEqual(hiddenOf(batch));
    const single = await model.run({ images: IMAGES.slice(1) });
    expect(hiddenOf(single)).toEqual(hiddenOf(batch).slice(9 * SIZES.width));
  });

  test("is explained by the plan that its images run", async () => {
    await model.run({ images: IMAGES });
    const before = (await sharedGpu()).memory;
    await model.explain(IMAGES.map(() => 9));
    expect((await sharedGpu()).memory).toEqual(before);
  });

  test("a bare checkpoint without prefix, classifier and biases of queries, with a pooler", async () => {
    const bare = plainCheckpoint("", false);
    const { "classifier.weight": _, "classifier.bias": __, ...rest } = bare;
    const made = {
      ...rest,
      "pooler.dense.weight": { shape: [SIZES.width, SIZES.width], data: normal(71, SIZES.width ** 2, 0.3) },
      "pooler.dense.bias": { shape: [SIZES.width], data: normal(72, SIZES.width, 0.2) },
      "embeddings.mask_token": { shape: [1, 1, SIZES.width], data: new Float32Array(SIZES.width) },
    };
    const own = await load(made, { architectures: ["ViTModel"], qkv_bias: false });
    const hidden = new PlainVit(bare, "").hidden(NORMALISED[0] as number[]);
    const out = await own.run({ images: IMAGES.slice(0, 1) });
    expect(out.heads).toEqual({});
    expect(relativeError(hiddenOf(out), hidden.flat())).toBeLessThan(TOLERANCE);
    expect(own.report.ignored).toEqual([{ tensor: "embeddings.mask_token", reason: "head of another task" }]);
    // A head with use_pooler and identity weights shows the pooled output.
    const eye = Float32Array.from({ length: SIZES.width ** 2 }, (_, i) => (i % (SIZES.width + 1) === 0 ? 1 : 0));
    const config = {
      head_type: "image_classification",
      num_labels: SIZES.width,
      layers: 1,
      activation_function: null,
      use_pooler: true,
    };
    await own.addHead("pooled", {
      config,
      tensors: {
        "1.weight": { shape: [SIZES.width, SIZES.width], data: eye },
        "1.bias": { shape: [SIZES.width], data: new Float32Array(SIZES.width) },
      },
    });
    const { heads } = await own.run({ images: IMAGES.slice(0, 1) });
    const dense = made["pooler.dense.weight"].data;
    const bias = made["pooler.dense.bias"].data;
    const pooled = Array.from(bias, (start, o) =>
      Math.tanh((hidden[0] as number[]).reduce((sum, v, i) => sum + v * (dense[o * SIZES.width + i] as number), start)),
    );
    expect(relativeError((heads.pooled as Tensor).data, pooled)).toBeLessThan(TOLERANCE);
  });

  test("half precision keeps to the bound of its weights", async () => {
    const half = await load(tensors, {}, { precision: "f16" });
    // Weights round by 2⁻¹¹ of themselves, and about ten such products follow each other.
    const error = relativeError(hiddenOf(await half.run({ images: IMAGES })), expected.flat(2));
    expect(error).toBeLessThan(10 * 2 ** -11);
    expect(error).toBeGreaterThan(TOLERANCE);
  });
});

describe("adapters", () => {
  let tensors: Tensors;
  let plain: PlainVit;
  let model: Model;
  beforeAll(async () => {
    tensors = plainCheckpoint();
    plain = new PlainVit(tensors);
    model = await load(tensors);
  });

  const linear = (x: Rows, { tensors: own }: RandomAdapter, name: string): Rows => {
    const { data, shape } = own[`${name}.weight`] as { data: Float32Array; shape: readonly number[] };
    const bias = own[`${name}.bias`]?.data;
    const inputs = shape[1] as number;
    return x.map((row) =>
      Array.from({ length: shape[0] as number }, (_, o) =>
        row.reduce((sum, v, i) => sum + v * (data[o * inputs + i] as number), bias?.[o] ?? 0),
      ),
    );
  };
  const added = (a: Rows, b: Rows): Rows => a.map((row, r) => row.map((v, c) => v + (b[r]?.[c] as number)));
  const bottleneck = (x: Rows, adapter: RandomAdapter, at: string): Rows => {
    const down = linear(x, adapter, `${at}adapter_down.0`).map((row) => row.map((v) => Math.max(v, 0)));
    return linear(down, adapter, `${at}adapter_up`);
  };
  const errorOf = async (name: string, hooks: PlainHooks): Promise<number> => {
    model.setActive(name);
    model.setRouting(null);
    const out = await model.run({ images: IMAGES });
    return relativeError(hiddenOf(out), NORMALISED.flatMap((pixels) => plain.hidden(pixels, hooks)).flat());
  };

  test("Pfeiffer: f + A(f + h) + h", async () => {
    const adapter = randomAdapter(model.host.shape, 3, { original_ln_before: true });
    await model.addAdapter("pfeiffer", adapter);
    const close: PlainHooks["close"] = (layer, f, h) =>
      added(added(f, h), bottleneck(added(f, h), adapter, `layers.${layer}.ffn.`));
    expect(await errorOf("pfeiffer", { close })).toBeLessThan(TOLERANCE);
    // The adapter must matter, or this would show nothing.
    expect(await errorOf("pfeiffer", {})).toBeGreaterThan(100 * TOLERANCE);
  });

  test("LoRA on queries and values, scaled by α / r", async () => {
    const lora = { architecture: "lora", r: 4, alpha: 10, attn_matrices: ["q", "v"], selfattn_lora: true };
    const own = Object.fromEntries(
      [0, 1].flatMap((layer) =>
        ["query", "value"].flatMap((map, which) => {
          const draw = (shape: [number, number], part: number): { shape: number[]; data: Float32Array } => ({
            shape,
            data: normal(500 + 8 * layer + 4 * which + part, shape[0] * shape[1], 0.3),
          });
          const at = `layers.${layer}.${map}`;
          return [
            [`${at}.lora_A`, draw([4, SIZES.width], 0)],
            [`${at}.lora_B`, draw([SIZES.width, 4], 1)],
          ] as const;
        }),
      ),
    );
    await model.addAdapter("lora", { config: lora, tensors: own });
    const apply: PlainHooks["linear"] = (layer, map, x, y) => {
      const [a, b] = ["lora_A", "lora_B"].map((part) => own[`layers.${layer}.${map}.${part}`]);
      if (a === undefined || b === undefined) return y;
      const stored = { config: lora, tensors: { "a.weight": a, "b.weight": b } };
      const low = linear(linear(x, stored, "a"), stored, "b");
      return added(
        y,
        low.map((row) => row.map((v) => (10 / 4) * v)),
      );
    };
    expect(await errorOf("lora", { linear: apply })).toBeLessThan(TOLERANCE);
    expect(await errorOf("lora", {})).toBeGreaterThan(100 * TOLERANCE);
  });

  test("files of the library's names, there and back, give the same bits", async () => {
    for (const [name, key] of [
      ["pfeiffer", "vit.encoder.layer.1.output.output_adapters.adapters.pfeiffer.adapter_down.0.weight"],
      ["lora", "vit.encoder.layer.0.attention.attention.query.loras.lora.lora_A"],
    ] as const) {
      model.setActive(name);
      const before = hiddenOf(await model.run({ images: IMAGES }));
      const files = Object.fromEntries(adapterFiles(model, name, { weights: "safetensors" }));
      expect(Buffer.from(files["adapter.safetensors"] ?? []).includes(key)).toBe(true);
      model.removeAdapter(name);
      await model.addAdapter(name, memoryFolder(files));
      model.setActive(name);
      expect(hiddenOf(await model.run({ images: IMAGES }))).toEqual(before);
    }
  });

  test("LoRA merges into maps with and without biases", async () => {
    const lora = { architecture: "lora", r: 4, alpha: 10, attn_matrices: ["q", "k"], init_weights: "bert" };
    for (const bias of [true, false]) {
      const own = await load(plainCheckpoint("vit.", bias), { qkv_bias: bias });
      await own.addAdapter("lora", { config: lora });
      const bare = hiddenOf(await own.run({ images: IMAGES }));
      own.setActive("lora");
      const active = hiddenOf(await own.run({ images: IMAGES }));
      await own.mergeAdapter("lora");
      own.setActive(null);
      expect(relativeError(hiddenOf(await own.run({ images: IMAGES })), active)).toBeLessThan(TOLERANCE);
      expect(relativeError(active, bare)).toBeGreaterThan(10 * TOLERANCE);
    }
  });

  test.each(["k-to-k", "k-to-all"] as const)("routed with a light path at the layer: %s", async (attention) => {
    const adapter = randomAdapter(model.host.shape, 6, {
      layer_adapter: true,
      mh_adapter: false,
      output_adapter: false,
    });
    await model.addAdapter(`light ${attention}`, adapter);
    const routers = [81, 82].map((seed) => normal(seed, SIZES.width, 0.3));
    const factors = [2, 3] as const;
    model.setActive(`light ${attention}`);
    model.setRouting(coda({ reduction: factors, attention, epsilon: 0.3, weights: routers }));
    const out = await model.run({ images: IMAGES });
    const rows = NORMALISED.map((pixels, image) => {
      let x = plain.embed(pixels);
      factors.forEach((reduction, index) => {
        const layer = {
          width: SIZES.width,
          heads: SIZES.heads,
          ffn: SIZES.ffn,
          pre: true,
          causal: false,
          eps: 1e-12,
          activation: (v: number) => activate("gelu", v),
          weight: (name: string) => plain.packed(index, name),
        };
        const options = {
          reduction,
          all: attention === "k-to-all",
          epsilon: 0.3,
          iterations: 20,
          start: 4,
          decay: 0.7,
        };
        const light = (xn: Rows): Rows => bottleneck(xn, adapter, `layers.${index}.`);
        const expected = codaLayer(layer, x, light, routers[index] as Float32Array, options);
        const { selected } = (out.routing as LayerRouting[])[index] as LayerRouting;
        const own = Array.from(selected).filter((row) => Math.floor(row / 9) === image);
        expect(own).toEqual(expected.selected.map((row) => row + 9 * image));
        x = expected.y;
      });
      return plain.finish(x);
    });
    expect(relativeError(hiddenOf(out), rows.flat(2))).toBeLessThan(ROUTED_TOLERANCE);
    const logits = rows.flatMap((hidden) => plain.logits(hidden));
    expect(relativeError((out.heads.default as Tensor).data, logits)).toBeLessThan(ROUTED_TOLERANCE);
  });

  test("a run of the lengths that were warmed up makes no new plan", async () => {
    model.setRouting(null);
    await model.warmup(["pfeiffer"]);
    const before = (await sharedGpu()).memory;
    model.setActive("pfeiffer");
    await model.run({ images: IMAGES.slice(0, 1) });
    expect((await sharedGpu()).memory).toEqual(before);
  });
});
