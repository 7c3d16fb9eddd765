/** @file The T5 encoder: random checkpoints under the published names against float64, dense, with adapters and routed. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { buildHost } from "../../src/hosts/index.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { adapterFiles } from "../../src/model/save.ts";
import type { LoadOptions } from "../../src/model/load.ts";
import { normal } from "../../src/random.ts";
import { activate } from "../../src/reference/activation.ts";
import { coda } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { softTopK, topK } from "../model/coda-float64.ts";
import { hiddenOf, idsOf, lively } from "../model/lively.ts";
import type { LivelyAdapter } from "../model/lively.ts";
import { relativeError } from "../model/truth.ts";
import { checkpointBytes, memoryFolder, tinyConfigs, tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { encode, plus, product } from "./t5-plain.ts";
import type { PlainHooks, PlainMap, PlainRoute, PlainT5, Rows } from "./t5-plain.ts";

/**
 * f32 through two layers. Scores are not divided by √hd: they reach about 40, and such a score rounded to 24 bits moves an
 * exponential by 40 · 2⁻²⁴ = 2.4e-6; about ten sums of up to 48 terms follow one another, with norms on top.
 */
const TOLERANCE = 5e-5;
/** λ multiplies the rounding of scores and of a, about 3e-6 each, by 1/ε ≤ 4, and routed rows carry it on. */
const ROUTED_TOLERANCE = 2e-4;
const LENGTHS = [17, 1, 9, 30];
const IDS = idsOf(LENGTHS).ids;

function plainOf({ tensors, host, config }: TinyModel, activation: (x: number) => number): PlainT5 {
  const { layers, heads, headWidth, gated } = host.shape;
  return {
    layers,
    heads,
    headWidth,
    buckets: Number(config.relative_attention_num_buckets),
    maxDistance: Number(config.relative_attention_max_distance),
    gated: gated === true,
    activation,
    tensor: (name) => tensors[name] as TinyModel["tensors"][string],
  };
}

const flat = (rows: readonly Rows[]): number[] => rows.flat(2);
const encodeAll = (model: PlainT5, hooks?: PlainHooks): number[] =>
  flat(IDS.map((ids) => encode(model, Array.from(ids), hooks)));

/** What LoRA adds to a map: (α / r) · x Aᵀ Bᵀ. */
function loraHook({ tensors }: LivelyAdapter, map: PlainMap, canonical: string, factor: number): PlainHooks {
  return {
    linear: (layer, at, x, y) => {
      if (at !== map) return y;
      const of = (name: string): Rows => {
        const { shape, data } = tensors[`layers.${layer}.${canonical}.${name}`] as LivelyAdapter["tensors"][string];
        return product(name === "lora_A" ? x : of("lora_A"), shape, data);
      };
      return plus(
        y,
        of("lora_B").map((row) => row.map((v) => factor * v)),
      );
    },
  };
}

/** A(x) = s · (act(x Dᵀ + d) Uᵀ + u). */
function bottleneck({ tensors }: LivelyAdapter, at: string, kind: "relu" | "gelu", scaling: number): (x: Rows) => Rows {
  const linear = (x: Rows, name: string): Rows => {
    const { shape, data } = tensors[`${at}.${name}.weight`] as LivelyAdapter["tensors"][string];
    const bias = (tensors[`${at}.${name}.bias`] as LivelyAdapter["tensors"][string]).data;
    return product(x, shape, data).map((row) => row.map((v, i) => v + (bias[i] as number)));
  };
  return (x) => {
    const inner = linear(x, "adapter_down.0").map((row) => row.map((v) => activate(kind, v)));
    return linear(inner, "adapter_up").map((row) => row.map((v) => scaling * v));
  };
}

const ROUTERS = [11, 12].map((seed) => normal(seed, 32, 1 / Math.sqrt(32)));

function routerScores(layer: number, normed: Rows): number[] {
  const vector = ROUTERS[layer] as Float32Array;
  return normed.map((row) => row.reduce((sum, v, i) => sum + v * (vector[i] as number), 0));
}

function routeOf(attention: "k-to-k" | "k-to-all", reduction: number, lambda: number | null): PlainRoute {
  return {
    toAll: attention === "k-to-all",
    choose: (layer, normed) => {
      const scores = routerScores(layer, normed);
      const k = Math.ceil(normed.length / reduction);
      const soft = { epsilon: 0.25, iterations: 20, start: 4, decay: 0.7 };
      return {
        selected: topK(scores, k),
        weights: lambda === null ? softTopK(scores, k, soft) : scores.map(() => lambda),
      };
    },
  };
}

describe.each([
  ["gated-gelu", "gelu_new"],
  ["relu", "relu"],
  ["gated-silu", "silu"],
] as const)("a tiny T5 encoder, %s", (feedForward, activation) => {
  let gpu: Gpu;
  let tiny: TinyModel;
  let plain: PlainT5;
  let model: Model;
  let dense: number[];

  beforeAll(async () => {
    gpu = await sharedGpu();
    tiny = tinyModel("t5", { feed_forward_proj: feedForward });
    plain = plainOf(tiny, (x) => activate(activation, x));
    model = await loadFolder(gpu, tiny.folder);
    dense = encodeAll(plain);
  });
  afterAll(async () => model.dispose());

  const run = async (active: string | null = null, routing: Parameters<typeof coda>[0] | null = null) => {
    model.setActive(active);
    model.setRouting(routing === null ? null : coda(routing));
    return hiddenOf(await model.run({ ids: IDS }));
  };

  test("the dense encoder is that of MATHS §3.3", async () => {
    expect(relativeError(await run(), dense)).toBeLessThan(TOLERANCE);
  });

  test.each([
    ["query", { attn_matrices: ["q"] }, "q"],
    ["up", { selfattn_lora: false, intermediate_lora: true }, feedForward.startsWith("gated") ? "wi_1" : "wi"],
  ] as const)("LoRA on the map %s", async (canonical, fields, map) => {
    const adapter = lively(model.host.shape, { architecture: "lora", r: 4, alpha: 6, ...fields }, 3);
    await model.addAdapter("low", adapter);
    const expected = encodeAll(plain, loraHook(adapter, map, canonical, 1.5));
    expect(relativeError(await run("low"), expected)).toBeLessThan(TOLERANCE);
    expect(relativeError(dense, expected)).toBeGreaterThan(100 * TOLERANCE);
    const files = [...adapterFiles(model, "low").values()].map((bytes) => new TextDecoder().decode(bytes));
    expect(files.join("\n")).toContain(`.${map}.loras.low.lora_A`);
    model.setActive(null);
    await model.mergeAdapter("low");
    expect(relativeError(await run(), expected)).toBeLessThan(TOLERANCE);
    await model.unmergeAdapter("low");
    expect(relativeError(await run(), dense)).toBeLessThan(TOLERANCE);
    model.removeAdapter("low");
  });

  test("a Pfeiffer adapter after the feed-forward part", async () => {
    const adapter = lively(model.host.shape, { ...seqBn, reduction_factor: 4 }, 5);
    await model.addAdapter("pfeiffer", adapter);
    const expected = encodeAll(plain, {
      close: (layer, f, h) => plus(plus(f, bottleneck(adapter, `layers.${layer}.ffn`, "relu", 1)(plus(f, h))), h),
    });
    expect(relativeError(await run("pfeiffer"), expected)).toBeLessThan(TOLERANCE);
    expect(relativeError(dense, expected)).toBeGreaterThan(100 * TOLERANCE);
    model.setActive(null);
    model.removeAdapter("pfeiffer");
  });

  describe("routed", () => {
    let light: LivelyAdapter;
    let hooks: PlainHooks;

    beforeAll(async () => {
      light = lively(
        model.host.shape,
        { layer_adapter: true, reduction_factor: 4, non_linearity: "gelu", scaling: 1.5 },
        7,
      );
      await model.addAdapter("light", light);
      hooks = { light: (layer, normed) => bottleneck(light, `layers.${layer}`, "gelu", 1.5)(normed) };
    });

    test.each([
      ["k-to-k", 2, 1],
      ["k-to-all", 3, 1],
      ["k-to-k", 3, null],
      ["k-to-all", 2, null],
    ] as const)(
      "%s, r = %d, λ %s: MATHS §1.2 with the bias by original positions",
      async (attention, reduction, lambda) => {
        const options = {
          reduction,
          attention,
          epsilon: 0.25,
          weights: ROUTERS,
          ...(lambda === null ? {} : { lambda }),
        };
        const found = await run("light", options);
        const route = routeOf(attention, reduction, lambda);
        const expected = encodeAll(plain, { ...hooks, route });
        expect(relativeError(found, expected)).toBeLessThan(ROUTED_TOLERANCE);
        // With the places among the selected rows in their stead it would be another function.
        const places = encodeAll(plain, { ...hooks, route: { ...route, position: (_, index) => index } });
        expect(relativeError(places, expected)).toBeGreaterThan(10 * ROUTED_TOLERANCE);
      },
    );

    test("LoRA on the queries of selected rows", async () => {
      const adapter = lively(model.host.shape, { architecture: "lora", r: 4, alpha: 6, attn_matrices: ["q"] }, 3);
      await model.addAdapter("low", adapter);
      const expected = encodeAll(plain, {
        ...loraHook(adapter, "q", "query", 1.5),
        route: routeOf("k-to-all", 2, null),
      });
      const found = await run("low", { reduction: 2, attention: "k-to-all", epsilon: 0.25, weights: ROUTERS });
      expect(relativeError(found, expected)).toBeLessThan(ROUTED_TOLERANCE);
      model.setActive(null);
      model.removeAdapter("low");
    });

    test("r = 1 with λ ≡ 1 is the dense layer plus adapter", async () => {
      const expected = encodeAll(plain, hooks);
      expect(relativeError(await run("light"), expected)).toBeLessThan(TOLERANCE);
      for (const attention of ["k-to-k", "k-to-all"] as const) {
        expect(relativeError(await run("light", { reduction: 1, lambda: 1, attention }), expected)).toBeLessThan(
          TOLERANCE,
        );
      }
    });
  });
});

/** Pfeiffer's placement without its name, so that the bottleneck may be wider. */
const seqBn = {
  mh_adapter: false,
  output_adapter: true,
  original_ln_before: true,
  non_linearity: "relu",
};

describe("T5 checkpoints", () => {
  const load = async (
    tensors: TinyModel["tensors"],
    config: Record<string, unknown> = tinyConfigs.t5 as Record<string, unknown>,
    options: LoadOptions = {},
  ): Promise<Model> => {
    const files = { "config.json": JSON.stringify(config), "model.safetensors": checkpointBytes(tensors) };
    return loadFolder(await sharedGpu(), memoryFolder(files), options);
  };
  const { tensors, folder } = tinyModel("t5");

  test("a decoder, tied copies and the prefix of a class with heads", async () => {
    const { shape, data } = tensors["shared.weight"] as TinyModel["tensors"][string];
    const whole: TinyModel["tensors"] = {
      "transformer.encoder.embed_tokens.weight": { shape, data },
      "transformer.decoder.embed_tokens.weight": { shape, data },
      "transformer.decoder.block.0.layer.1.EncDecAttention.q.weight": { shape: [1], data: Float32Array.of(1) },
      "lm_head.weight": { shape, data },
    };
    for (const [name, tensor] of Object.entries(tensors)) whole[`transformer.${name}`] = tensor;
    const model = await load(whole);
    expect(Object.fromEntries(model.report.ignored.map(({ tensor, reason }) => [tensor, reason]))).toEqual({
      "transformer.encoder.embed_tokens.weight": "tied copy",
      "transformer.decoder.embed_tokens.weight": "decoder: this engine runs the encoder",
      "transformer.decoder.block.0.layer.1.EncDecAttention.q.weight": "decoder: this engine runs the encoder",
      "lm_head.weight": "decoder: this engine runs the encoder",
    });
    const bare = await loadFolder(await sharedGpu(), folder);
    expect(hiddenOf(await model.run({ ids: IDS }))).toEqual(hiddenOf(await bare.run({ ids: IDS })));
    await bare.dispose();
    await model.dispose();
  });

  test("an encoder that calls its embeddings its own, and a tensor that belongs nowhere", async () => {
    const { "shared.weight": word, ...rest } = tensors;
    const own = { ...rest, "encoder.embed_tokens.weight": word as TinyModel["tensors"][string] };
    await (await load(own)).dispose();
    const stray = {
      ...own,
      "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight": own["encoder.embed_tokens.weight"],
    };
    await expect(load(stray)).rejects.toThrow(/unexpected: encoder\.block\.1\.layer\.0.*relative_attention_bias/);
  });

  test("half precision keeps the bias whole", async () => {
    const [half, full] = [await load(tensors, undefined, { precision: "f16" }), await load(tensors)];
    // Weights of 11 bits through two layers.
    const error = relativeError(hiddenOf(await half.run({ ids: IDS })), hiddenOf(await full.run({ ids: IDS })));
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThan(2e-2);
    await half.dispose();
    await full.dispose();
  });

  test("a prefix is refused by name: its rows have no position", async () => {
    const model = await load(tensors);
    await model.addAdapter("prefix", lively(model.host.shape, { architecture: "prefix_tuning", prefix_length: 3 }, 1));
    model.setActive("prefix");
    await expect(model.run({ ids: IDS })).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("a prefix on a host with relative position bias"),
    });
    await model.dispose();
  });

  test.each([
    ["d_kv", { d_kv: 6 }],
    ["feed_forward_proj", { feed_forward_proj: "gated-maxout" }],
    ["feed_forward_proj", { feed_forward_proj: 3 }],
    ["is_decoder", { is_decoder: true }],
    ["relative_attention_num_buckets", { relative_attention_num_buckets: 2 }],
    ["d_model", { d_model: undefined }],
  ])("refuses a wrong %s", (where, fields) => {
    const config = { ...tinyConfigs.t5, ...fields };
    expect(() => buildHost({ config, tensors: new Set() }, false)).toThrow(expect.objectContaining({ where }));
  });
});
