/** @file What stands on the heavy path: methods at linear maps, keys and embeddings, and bottlenecks at their own sites, seen by selected rows alone; against plain float64. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stack } from "../../src/adapters/composition.ts";
import type { CompositionInput } from "../../src/adapters/composition.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import { routers } from "../../src/routing/routers/index.ts";
import { EPSILON, MATTERS, codaCase, expectLayers, runRouted, weightsFor } from "./coda-case.ts";
import type { CodaCase, Expectation } from "./coda-case.ts";
import { bottleneck, linearMaps, nothing } from "./coda-bottleneck.ts";
import { add } from "./coda-float64.ts";
import type { PlainLayer, Rows } from "./coda-float64.ts";
import { ia3, hiddenOf, lively } from "./lively.ts";
import type { LivelyAdapter } from "./lively.ts";
import { relativeError } from "./truth.ts";

type Fields = Readonly<Record<string, unknown>>;

const everywhere = {
  architecture: "lora",
  r: 3,
  alpha: 4,
  intermediate_lora: true,
  output_lora: true,
  attn_matrices: ["q", "k", "v", "o"],
};
const ffn = { mh_adapter: false, output_adapter: true, reduction_factor: 4, non_linearity: "relu" };
const LENGTH = 3;
const CONFIGS: Readonly<Record<string, Fields>> = {
  light: { layer_adapter: true, reduction_factor: 4, non_linearity: "tanh" },
  other: { layer_adapter: true, reduction_factor: 8, non_linearity: "gelu" },
  lora: everywhere,
  "gated lora": { ...everywhere, use_gating: true },
  "lora on queries and values": { architecture: "lora", r: 2, alpha: 3, attn_matrices: ["q", "v"] },
  ia3: ia3,
  "gated ia3": {
    architecture: "lora",
    composition_mode: "scale",
    r: 1,
    alpha: 1,
    use_gating: true,
    attn_matrices: ["k", "v"],
    intermediate_lora: true,
  },
  prefix: { architecture: "prefix_tuning", flat: true, prefix_length: LENGTH },
  prompt: { architecture: "prompt_tuning", prompt_length: LENGTH },
  houlsby: { ...ffn, mh_adapter: true, original_ln_before: false },
  gated: { ...ffn, mh_adapter: true, use_gating: true, original_ln_before: false },
  parallel: { ...ffn, is_parallel: true, scaling: 2 },
};

describe.each(["albert", "gpt2", "kwt"])("on a tiny %s", (family) => {
  let given: CodaCase;
  const adapters: Record<string, LivelyAdapter> = {};
  const named = (name: string): LivelyAdapter => adapters[name] as LivelyAdapter;

  beforeAll(async () => {
    given = await codaCase(family);
    for (const [index, [name, config]] of Object.entries(CONFIGS).entries()) {
      adapters[name] = lively(given.model.host.shape, config, 31 + index);
      await given.model.addAdapter(name, named(name));
    }
  });
  afterAll(async () => given.model.dispose());

  const lit = (x: Rows, layer: number): Rows => bottleneck(named("light"), `layers.${layer}.`, x);

  /** The prefix of a layer: of the view [L, 2 · layers, d] its blocks 2 l and 2 l + 1. */
  function front(layer: number): { keys: Rows; values: Rows } {
    const { width, layers } = given.model.host.shape;
    const data = named("prefix").tensors["prefix.control_trans"]?.data as Float32Array;
    const block = (at: number): Rows =>
      Array.from({ length: LENGTH }, (_, row) =>
        Array.from({ length: width }, (__, i) => data[(row * 2 * layers + at) * width + i] as number),
      );
    return { keys: block(2 * layer), values: block(2 * layer + 1) };
  }

  /** Runs and compares; without what is active the result must be another one. */
  async function compare(
    active: CompositionInput,
    own: Partial<CodaOptions>,
    expectation: Omit<Expectation, "router"> & { readonly router?: string },
  ): Promise<void> {
    const { model } = given;
    const { router = "learned", ...rest } = expectation;
    const options: CodaOptions = {
      reduction: 2,
      epsilon: EPSILON,
      router,
      weights: weightsFor(given, 2, router === "separate" ? ["score", "keys"] : ["score"]),
      ...own,
    };
    model.setActive(active);
    const out = await runRouted(given, options);
    expectLayers(given, out, options, { router, light: lit, all: own.attention === "k-to-all", ...rest });
    model.setActive(own.adapter === undefined ? "light" : null);
    const without = hiddenOf(await runRouted(given, options));
    expect(relativeError(without, hiddenOf(out))).toBeGreaterThan(MATTERS);
  }

  test.each(
    ["lora", "gated lora", "lora on queries and values", "ia3", "gated ia3"].flatMap((name) =>
      (["k-to-k", "k-to-all"] as const).map((attention) => [name, attention] as const),
    ),
  )("%s beside the light path, %s", async (name, attention) => {
    await compare(
      stack("light", name),
      { attention },
      {
        layer: (plain, layer) => ({ ...plain, linear: linearMaps(named(name), layer) }),
      },
    );
  });

  test.each(["attention", "ffn"] as const)(
    "LoRA where %s alone is routed: all rows of the other half have it",
    async (part) => {
      await compare(
        stack("light", "lora"),
        { part, attention: "k-to-all" },
        {
          part,
          layer: (plain, layer) => ({ ...plain, linear: linearMaps(named("lora"), layer) }),
        },
      );
    },
  );

  test("LoRA with rows for keys of their own", async () => {
    await compare(
      stack("light", "gated lora"),
      { router: routers.separate({ keyReduction: 1.5 }) },
      {
        router: "separate",
        choice: { keyReduction: 1.5 },
        layer: (plain, layer) => ({ ...plain, linear: linearMaps(named("gated lora"), layer) }),
      },
    );
  });

  test.each([
    ["k-to-k", "learned"],
    ["k-to-all", "learned"],
    ["k-to-k", "separate"],
    ["k-to-all", "threshold"],
  ] as const)("a prefix, %s, %s", async (attention, router) => {
    await compare(
      stack("light", "prefix"),
      { attention },
      {
        router,
        layer: (plain, layer) => ({ ...plain, prefix: () => front(layer) }),
      },
    );
  });

  test("a prompt is part of the sequence", async () => {
    // Of a stack only the first adapter's prompt counts (MATHS §2.8).
    await compare(stack("prompt", "light"), { attention: "k-to-all" }, {});
    const out = await runRouted(given, { reduction: 3 });
    given.model.setActive("prompt");
    const longer = await runRouted(given, { reduction: 3 });
    const count = (of: typeof out): number => of.routing?.[0]?.weights.length as number;
    expect(count(longer)).toBe(count(out) + LENGTH * given.lengths.length);
  });

  /** f with what a bottleneck adds to it at its own site: of f itself, or of the stream where it is parallel. */
  const sites: Readonly<Record<string, (plain: PlainLayer, layer: number) => PlainLayer>> = {
    houlsby: (plain, layer) => ({
      ...plain,
      after: (place, f) => add(f, bottleneck(named("houlsby"), `layers.${layer}.${place}.`, f)),
    }),
    gated: (plain, layer) => ({
      ...plain,
      after: (place, f) => add(f, bottleneck(named("gated"), `layers.${layer}.${place}.`, f)),
    }),
    parallel: (plain, layer) => ({
      ...plain,
      after: (place, f, h) => (place === "ffn" ? add(f, bottleneck(named("parallel"), `layers.${layer}.ffn.`, h)) : f),
    }),
  };

  test.each([
    ["houlsby", {}],
    ["gated", {}],
    ["parallel", { attention: "k-to-all" }],
    ["houlsby", { part: "attention" }],
    ["parallel", { part: "ffn" }],
  ] as const)("with another adapter on the light path %s stands at its own sites, %j", async (name, own) => {
    await compare(
      name,
      { adapter: "light", ...own },
      {
        ...("part" in own ? { part: own.part } : {}),
        layer: sites[name] as NonNullable<Expectation["layer"]>,
      },
    );
  });

  test("with another adapter on the light path one around the layer joins the heavy path", async () => {
    await compare(
      stack("other", "lora"),
      { adapter: "light" },
      {
        layer: (plain, layer) => ({ ...plain, linear: linearMaps(named("lora"), layer) }),
        around: (x, layer) => bottleneck(named("other"), `layers.${layer}.`, x),
      },
    );
  });

  test("methods without a bottleneck leave the light path empty", async () => {
    const { model } = given;
    model.setActive("lora");
    const options: CodaOptions = { reduction: 2, epsilon: EPSILON, weights: weightsFor(given, 2, ["score"]) };
    const out = await runRouted(given, options);
    expectLayers(given, out, options, {
      router: "learned",
      light: nothing,
      layer: (plain, layer) => ({ ...plain, linear: linearMaps(named("lora"), layer) }),
    });
  });

  test("a prefix among keys that the GPU counts is refused by name", async () => {
    const { model } = given;
    model.setActive("prefix");
    await expect(runRouted(given, { reduction: 2, router: "threshold" })).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/a prefix among keys/) as string,
    });
    model.setRouting(null);
    expect((await model.run(given.input)).hidden).toBeDefined();
  });
});
