/**
 * @file The cost of whole models against MATHS §1.6, to the last FLOP: ragged batches on pre- and post-LN hosts, dense, adapted
 * and routed, before and after the graph passes; and launches against what a run really dispatches.
 */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Encoder } from "../../src/bench/encoder.ts";
import type { FlopCounts } from "../../src/graph/explain.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { HostShape } from "../../src/hosts/host.ts";
import { buildHost } from "../../src/hosts/index.ts";
import { loadFolder } from "../../src/model/load.ts";
import { coda } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyConfigs, tinyModel } from "../tiny-models.ts";
import { countedPass } from "./counted.ts";
import type { Form } from "./counted.ts";
import { idsOf, lively } from "./lively.ts";
import { pfeiffer } from "./watched.ts";

const HOSTS = ["gpt2", "bert", "albert", "t5", "gated t5"] as const;
type HostName = (typeof HOSTS)[number];

const TINY: Readonly<Record<HostName, Record<string, unknown>>> = {
  gpt2: tinyConfigs.gpt2 as Record<string, unknown>,
  bert: tinyConfigs.bert as Record<string, unknown>,
  albert: tinyConfigs.albert as Record<string, unknown>,
  t5: { ...tinyConfigs.t5, feed_forward_proj: "relu" },
  "gated t5": { ...tinyConfigs.t5, feed_forward_proj: "gated-gelu" },
};

/** Terms of MATHS §1.6. */
type Terms = Pick<FlopCounts, "matmul" | "attention" | "adapter" | "router">;

let gpu: Gpu;
const encoders = new Map<HostName, Encoder>();

beforeAll(async () => {
  gpu = await sharedGpu();
  for (const name of HOSTS) encoders.set(name, await encoderOf(name));
});

afterAll(async () => {
  for (const encoder of encoders.values()) await encoder.dispose();
});

/** A host with adapters around the layer, after the feed-forward and on a linear map, each as wide as its name says. */
async function encoderOf(
  name: HostName,
  config: Record<string, unknown> = TINY[name],
  around: readonly number[] = [1, 7, 16],
): Promise<Encoder> {
  const host = buildHost({ config, tensors: new Set() }, false);
  const { layers, width, heads, ffnWidth } = host.shape;
  // Slots have room for 24 units, more than any adapter has.
  const sizes = { layers, width, heads, ffnWidth, bottleneck: 24 };
  const encoder = new Encoder(gpu, sizes, 3, { host, slots: 8 });
  for (const b of around) await encoder.add(`layer ${b}`, { layer_adapter: true, bottleneck_width: b }, b);
  for (const b of [2, 8].filter((one) => width % one === 0)) {
    await encoder.add(`ffn ${b}`, { ...pfeiffer, reduction_factor: width / b }, b);
  }
  const lora = { architecture: "lora", selfattn_lora: false, intermediate_lora: true, r: 3 };
  await encoder.add("lora", lora, 9);
  return encoder;
}

/** Sizes of a host. */
interface Sizes {
  readonly heads: number;
  readonly headWidth: number;
  readonly ffnWidth: number;
  readonly layers: number;
}

/** The configuration of a tiny host with other sizes. */
function shapedConfig(name: HostName, { heads, headWidth, ffnWidth, layers }: Sizes): Record<string, unknown> {
  const width = heads * headWidth;
  if (name === "gpt2") return { ...TINY.gpt2, n_embd: width, n_head: heads, n_inner: ffnWidth, n_layer: layers };
  if (name.endsWith("t5")) {
    // T5's heads need not make up the width.
    const sizes = { d_model: width, d_kv: headWidth + 4, num_heads: heads, d_ff: ffnWidth, num_layers: layers };
    return { ...TINY[name], ...sizes };
  }
  const sizes = { hidden_size: width, num_attention_heads: heads, intermediate_size: ffnWidth };
  return { ...TINY[name], ...sizes, num_hidden_layers: layers };
}

/** Embedding width → d, where a host has both: a matrix outside the layers. */
function embeddingFlops(name: HostName, { width }: HostShape, rows: number): number {
  return name === "albert" ? 2 * rows * 16 * width : 0;
}

/**
 * 8nd² + 2g·n·d·dff and 4n²d, k in place of n as MATHS §1.6 says, with the width of all heads for one d where it is another; g is 3
 * when gated; r of every layer, null where it is dense.
 */
function mathsTerms(
  shape: HostShape,
  lengths: readonly number[],
  routed: { readonly reductions: readonly (number | null)[]; readonly attention: string },
  adapter: (n: number, sequence: number) => number,
): Terms {
  const { width: d, ffnWidth, layers, heads, headWidth } = shape;
  const inner = heads * headWidth;
  const matrices = shape.gated === true ? 3 : 2;
  const terms = { matmul: 0, attention: 0, adapter: 0, router: 0 };
  for (let layer = 0; layer < layers; layer += 1) {
    const r = routed.reductions[layer] ?? null;
    lengths.forEach((n, sequence) => {
      const k = r === null ? n : Math.ceil(n / r);
      const keys = r !== null && routed.attention === "k-to-k" ? k : n;
      terms.matmul += 4 * k * d * inner + 4 * keys * d * inner + 2 * matrices * k * d * ffnWidth;
      terms.attention += 4 * k * keys * inner;
      terms.adapter += adapter(n, sequence);
      terms.router += r === null ? 0 : 2 * n * d;
    });
  }
  return terms;
}

function termsOf({ matmul, attention, adapter, router }: FlopCounts): Terms {
  return { matmul, attention, adapter, router };
}

const lengthsArbitrary = fc.array(fc.integer({ min: 1, max: 23 }), { minLength: 1, maxLength: 6 });
const hostArbitrary = fc.constantFrom(...HOSTS);
const NOT_ROUTED = { reductions: [], attention: "" };

/** Counts a form before and after the passes, which must agree in every kind. */
function counts(
  name: HostName,
  form: Form,
  lengths: readonly number[],
  encoder: Encoder = encoders.get(name) as Encoder,
): { terms: Terms; shape: HostShape } {
  const plain = countedPass(encoder, form, lengths, "plain");
  const fused = countedPass(encoder, form, lengths);
  expect(fused.parts).toEqual(plain.parts);
  expect(fused.launches).toBeLessThan(plain.launches);
  expect(fused.bytes).toBeLessThan(plain.bytes);
  for (const { flops, parts } of [plain, fused]) expect(sum(Object.values(parts))).toBe(flops);
  for (const kind of ["norm", "softmax", "other"] as const) expect(fused.parts[kind]).toBeGreaterThan(0);
  const { shape } = encoder.host;
  const { matmul, ...others } = termsOf(fused.parts);
  return { terms: { matmul: matmul - embeddingFlops(name, shape, sum(lengths)), ...others }, shape };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

describe("FLOPs are those of MATHS §1.6", () => {
  test("dense, ragged", () => {
    fc.assert(
      fc.property(hostArbitrary, lengthsArbitrary, (name, lengths) => {
        const { terms, shape } = counts(name, {}, lengths);
        expect(terms).toEqual(mathsTerms(shape, lengths, NOT_ROUTED, () => 0));
      }),
      { numRuns: 30 },
    );
  });

  test("with an adapter of its own width in a wider slot: 4 n d b", () => {
    const names = fc.constantFrom("layer 1", "layer 7", "layer 16", "ffn 2", "ffn 8");
    fc.assert(
      fc.property(hostArbitrary, lengthsArbitrary, names, (name, lengths, adapter) => {
        const { terms, shape } = counts(name, { adapters: adapter }, lengths);
        const b = Number(adapter.split(" ")[1]);
        expect(terms).toEqual(mathsTerms(shape, lengths, NOT_ROUTED, (n) => 4 * n * shape.width * b));
      }),
      { numRuns: 40 },
    );
  });

  test("with another adapter per sequence, or none: Σ 4 n_s d b_s", () => {
    const adapters = fc.array(fc.constantFrom(null, "layer 1", "layer 7", "layer 16"), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(hostArbitrary, lengthsArbitrary, adapters, (name, lengths, drawn) => {
        const each = drawn.slice(0, lengths.length);
        const encoder = encoders.get(name) as Encoder;
        const { parts } = countedPass(encoder, { adapters: each }, lengths);
        const widths = each.map((adapter) => Number(adapter?.split(" ")[1] ?? 0));
        const { shape } = encoder.host;
        const expected = (n: number, s: number): number => 4 * n * shape.width * (widths[s] as number);
        expect(parts.adapter).toBe(mathsTerms(shape, lengths, NOT_ROUTED, expected).adapter);
      }),
      { numRuns: 40 },
    );
  });

  test("with LoRA of rank r on d → dff: 2 n r (d + dff)", () => {
    for (const name of HOSTS) {
      const { terms, shape } = counts(name, { adapters: "lora" }, [5, 1, 12]);
      expect(terms.adapter).toBe(shape.layers * 2 * 18 * 3 * (shape.width + shape.ffnWidth));
    }
  });

  test("routed, with reductions per layer, in both attention forms", () => {
    const reduction = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constantFrom(2.5, null));
    const attentions = fc.constantFrom("k-to-k" as const, "k-to-all" as const);
    const three = fc.array(reduction, { minLength: 3, maxLength: 3 });
    const names = fc.constantFrom(undefined, "layer 7", "layer 16");
    fc.assert(
      fc.property(
        hostArbitrary,
        lengthsArbitrary,
        three,
        attentions,
        names,
        (name, lengths, drawn, attention, light) => {
          const { layers, width } = (encoders.get(name) as Encoder).host.shape;
          const reductions = drawn.slice(0, layers);
          const routing = coda({ reduction: reductions, attention });
          const form: Form = light === undefined ? { routing } : { routing, adapters: light };
          const { terms, shape } = counts(name, form, lengths);
          const b = Number(light?.split(" ")[1] ?? 0);
          expect(terms).toEqual(mathsTerms(shape, lengths, { reductions, attention }, (n) => 4 * n * width * b));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("hosts of other widths and depths, dense with an adapter and routed", async () => {
    const shapes = fc.record({
      heads: fc.integer({ min: 1, max: 3 }),
      headWidth: fc.constantFrom(4, 8, 12),
      ffnWidth: fc.integer({ min: 1, max: 12 }).map((quads) => 4 * quads),
      layers: fc.integer({ min: 1, max: 4 }),
      bottleneck: fc.integer({ min: 1, max: 24 }),
    });
    const reductions = fc.integer({ min: 1, max: 8 });
    const attentions = fc.constantFrom("k-to-k" as const, "k-to-all" as const);
    await fc.assert(
      fc.asyncProperty(
        hostArbitrary,
        shapes,
        lengthsArbitrary,
        reductions,
        attentions,
        async (name, shape, ...rest) => {
          const [lengths, reduction, attention] = rest;
          const encoder = await encoderOf(name, shapedConfig(name, shape), [shape.bottleneck]);
          try {
            const b = shape.bottleneck;
            const adapters = `layer ${b}`;
            const light = (n: number): number => 4 * n * encoder.host.shape.width * b;
            for (const routed of [false, true]) {
              const routing = coda({ reduction, attention });
              const { terms } = counts(name, routed ? { adapters, routing } : { adapters }, lengths, encoder);
              const each = { reductions: routed ? Array<number>(shape.layers).fill(reduction) : [], attention };
              expect(terms).toEqual(mathsTerms(encoder.host.shape, lengths, each, light));
            }
          } finally {
            await encoder.dispose();
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test("the softmax is 4 a score, the norms 8 an element of LayerNorm", () => {
    const { host } = encoders.get("bert") as Encoder;
    const { parts } = countedPass(encoders.get("bert") as Encoder, {}, [9, 4]);
    const { layers, heads, width } = host.shape;
    expect(parts.softmax).toBe(layers * 4 * heads * (81 + 16));
    expect(parts.norm).toBe((1 + 2 * layers) * 8 * 13 * width);
  });
});

describe("a model", () => {
  test("explains what its runs dispatch", async () => {
    const { folder, host } = tinyModel("bert");
    const model = await loadFolder(gpu, folder);
    try {
      await model.addAdapter("a", lively(host.shape, { layer_adapter: true, bottleneck_width: 5 }, 1));
      const lengths = [7, 2, 11];
      const dispatched: number[] = [];
      const explained: number[] = [];
      const routers = ["threshold", "separate", "norm"];
      const others = routers.map((router) => coda({ reduction: 2, router, attention: "k-to-all" }));
      for (const routing of [null, coda({ reduction: 3 }), coda({ reduction: 2, block: 4 }), ...others]) {
        for (const active of [null, "a"]) {
          model.setRouting(routing);
          model.setActive(active);
          const options = { outputs: ["hidden"] };
          const { launches, steps } = await model.explain(lengths, options);
          expect(sum(steps.map(({ kernels }) => kernels.length))).toBe(launches);
          explained.push(launches);
          dispatched.push(await dispatchesOf(() => model.run(idsOf(lengths), options)));
        }
      }
      expect(dispatched).toEqual(explained);
      expect(new Set(explained).size).toBeGreaterThan(3);
    } finally {
      await model.dispose();
    }
  });
});

/** How many dispatches the device is asked for meanwhile. */
async function dispatchesOf(work: () => Promise<unknown>): Promise<number> {
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  const prototype = Object.getPrototypeOf(pass) as GPUComputePassEncoder;
  pass.end();
  encoder.finish();
  let count = 0;
  const kept = ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"] as const;
  const originals = kept.map((name) => [name, prototype[name]] as const);
  for (const [name, original] of originals) {
    Object.defineProperty(prototype, name, {
      configurable: true,
      value(this: GPUComputePassEncoder, ...values: unknown[]) {
        count += 1;
        return Reflect.apply(original, this, values) as undefined;
      },
    });
  }
  try {
    await work();
  } finally {
    for (const [name, value] of originals) Object.defineProperty(prototype, name, { configurable: true, value });
  }
  return count;
}
