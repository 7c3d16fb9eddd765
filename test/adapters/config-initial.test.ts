/** @file Fresh tensors: names and shapes as expected, each distribution by its moments and bounds, seeds by their meaning. */

import { describe, expect, test } from "vitest";
import { initialTensors } from "../../src/adapters/config/initial.ts";
import type { BaseRowNorms } from "../../src/adapters/config/initial.ts";
import { adapterPresets } from "../../src/adapters/config/presets.ts";
import { readAdapterConfig } from "../../src/adapters/config/read.ts";
import { expectedTensors } from "../../src/adapters/config/shapes.ts";
import type { AdapterHost } from "../../src/adapters/config/types.ts";
import { normal } from "../../src/random.ts";

const host: AdapterHost = { layers: 3, width: 128, heads: 4, headWidth: 32, ffnWidth: 96, normPosition: "post" };

type Raw = Readonly<Record<string, unknown>>;

const bottleneck = { mh_adapter: false, output_adapter: true, reduction_factor: 2, non_linearity: "relu" };
const lora = { architecture: "lora" };

const norms: BaseRowNorms = (layer, map) =>
  new Float32Array(map === "up" ? 96 : 128).map((_, row) => 1 + layer + row / 256);

function draw(config: string | Raw, seed?: number): Record<string, Float32Array> {
  const tensors = initialTensors(readAdapterConfig(config, host), host, seed, norms);
  return Object.fromEntries(Array.from(tensors, ([name, { data }]) => [name, data]));
}

const get = (tensors: Record<string, Float32Array>, name: string): Float32Array => {
  const data = tensors[name];
  if (data === undefined) throw new Error(`no ${name}`);
  return data;
};

const deviation = (data: Float32Array): number => Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length);
const largest = (data: Float32Array): number => data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
const all = (value: number, data: Float32Array): void => expect(data.every((v) => v === value)).toBe(true);

/** The sample deviation of n draws spreads by at most σ / √(2n) for the normal; five of those. */
function expectDeviation(data: Float32Array, sigma: number): void {
  expect(Math.abs(deviation(data) - sigma)).toBeLessThan((5 * sigma) / Math.sqrt(2 * data.length));
}

/** Uniform in ±bound: inside, close to the edge, and of deviation bound / √3. */
function expectUniform(data: Float32Array, bound: number): void {
  expect(largest(data)).toBeLessThanOrEqual(Math.fround(bound));
  expect(largest(data)).toBeGreaterThan(0.9 * bound);
  expectDeviation(data, bound / Math.sqrt(3));
}

describe("every preset", () => {
  test.each(Object.keys(adapterPresets))("%s has the expected tensors, finite", (name) => {
    const config = readAdapterConfig(name, host);
    const tensors = initialTensors(config, host, 3, norms);
    const shapes = new Map(Array.from(tensors, ([key, { shape }]) => [key, shape]));
    expect(shapes).toEqual(expectedTensors(config, host));
    for (const { shape, data } of tensors.values()) {
      expect(data).toHaveLength(shape.reduce((a, b) => a * b, 1));
      expect(data.every(Number.isFinite)).toBe(true);
    }
  });
});

describe("distributions", () => {
  test("bert", () => {
    const tensors = draw({ ...bottleneck, use_gating: true, ln_before: true, ln_after: true, scaling: "channel" });
    expectDeviation(get(tensors, "layers.0.ffn.adapter_down.0.weight"), 0.02);
    expectDeviation(get(tensors, "layers.0.ffn.adapter_up.weight"), 0.02);
    expectDeviation(get(tensors, "layers.0.ffn.gate.weight"), 0.02);
    for (const tail of ["adapter_down.0.bias", "adapter_up.bias", "gate.bias", "adapter_norm_before.bias"]) {
      all(0, get(tensors, `layers.2.ffn.${tail}`));
    }
    for (const tail of ["scaling", "adapter_norm_before.weight", "adapter_norm_after.weight"]) {
      all(1, get(tensors, `layers.2.ffn.${tail}`));
    }
  });

  test("mam_adapter starts as nothing", () => {
    const tensors = draw("par_bn");
    expectUniform(get(tensors, "layers.1.ffn.adapter_down.0.weight"), 1 / Math.sqrt(128));
    all(0, get(tensors, "layers.1.ffn.adapter_up.weight"));
    all(0, get(tensors, "layers.1.ffn.adapter_down.0.bias"));
  });

  test.each([
    ["houlsby", 0.01],
    ["houlsby_2019", 0.001],
  ])("%s is cut at two deviations, its gate is torch's", (init_weights, sigma) => {
    const tensors = draw({ ...bottleneck, init_weights, use_gating: true });
    const weight = get(tensors, "layers.0.ffn.adapter_up.weight");
    expect(largest(weight)).toBeLessThanOrEqual(Math.fround(2 * sigma));
    expect(largest(weight)).toBeGreaterThan(1.9 * sigma);
    // A normal cut at ±2σ has the deviation 0.8796σ.
    expectDeviation(weight, 0.8796 * sigma);
    expectUniform(get(tensors, "layers.0.ffn.gate.weight"), 1 / Math.sqrt(128));
    all(0, get(tensors, "layers.0.ffn.adapter_up.bias"));
  });

  test("Compacter", () => {
    const phm = { ...bottleneck, phm_layer: true, phm_rank: 8 };
    const tensors = draw({ ...phm, phm_dim: 8, phm_init_range: 0.5 });
    expectDeviation(get(tensors, "shared_parameters.phm_rule"), 0.5);
    // Blocks [16, 8] and [8, 8].
    expectDeviation(get(tensors, "layers.0.ffn.adapter_down.0.W_left"), Math.sqrt(2 / 24));
    expectDeviation(get(tensors, "layers.0.ffn.adapter_up.W_left"), Math.sqrt(2 / 16));
    all(0, get(tensors, "layers.0.ffn.adapter_up.b"));
    const own = draw({ ...phm, phm_dim: 8, shared_phm_rule: false, factorized_phm_W: false, shared_W_phm: false });
    expectDeviation(get(own, "layers.0.ffn.adapter_up.phm_rule"), 0.01);
    expectDeviation(get(own, "layers.0.ffn.adapter_up.W"), Math.sqrt(2 / 24));
    const uniform = { phm_dim: 8, phm_c_init: "uniform" };
    expectUniform(get(draw({ ...phm, ...uniform }), "shared_parameters.phm_rule"), 1);
    const rule = get(draw({ ...phm, ...uniform, shared_phm_rule: false }), "layers.0.ffn.adapter_up.phm_rule");
    expectUniform(rule, 0.01);
  });

  test("NICE", () => {
    const tensors = draw("seq_bn_inv");
    expectDeviation(get(tensors, "invertible.F.0.weight"), 0.02);
    all(0, get(tensors, "invertible.G.2.bias"));
  });

  test("LoRA, IA³ and their gates", () => {
    const tensors = draw({ ...lora, intermediate_lora: true, r: 16, use_gating: true });
    expectUniform(get(tensors, "layers.0.query.lora_A"), 1 / Math.sqrt(128));
    all(0, get(tensors, "layers.0.up.lora_B"));
    expectDeviation(get(tensors, "layers.0.up.gate.weight"), 0.02);
    expect(largest(get(tensors, "layers.0.up.gate.bias"))).toBeLessThanOrEqual(1 / Math.sqrt(128));
    expectDeviation(get(draw({ ...lora, init_weights: "bert", r: 16 }), "layers.0.query.lora_B"), 0.02);
    all(1, get(draw("ia3"), "layers.0.up.lora_B"));
    all(0, get(draw({ ...adapterPresets.ia3, init_weights: "lora" }), "layers.0.up.lora_B"));
  });

  test("VeRA: random shared matrices, diagonal trained ones", () => {
    const tensors = draw({ ...adapterPresets.vera, r: 16, vera_b: 0.25 });
    expectUniform(get(tensors, "shared_parameters.lora_A"), Math.sqrt(6 / 128));
    expectUniform(get(tensors, "shared_parameters.lora_B"), Math.sqrt(6 / 16));
    const eye = (size: number, value: number): Float32Array =>
      new Float32Array(size * size).map((_, i) => (Math.floor(i / size) === i % size ? value : 0));
    expect(get(tensors, "layers.2.value.vera_D")).toEqual(eye(16, 0.1));
    expect(get(tensors, "layers.2.value.vera_B")).toEqual(eye(128, 0.25));
  });

  test("DoRA starts at the norms of the base, and says so without them", () => {
    const config = readAdapterConfig({ ...lora, use_dora: true, intermediate_lora: true }, host);
    const tensors = initialTensors(config, host, 0, norms);
    expect(tensors.get("layers.2.up.m.weight")).toEqual({ shape: [96, 1], data: norms(2, "up") });
    expect(() => initialTensors(config, host)).toThrow(/use_dora: layers\.0\.query\.m\.weight needs the norms/);
    expect(() => initialTensors(config, host, 0, () => new Float32Array(5))).toThrow(
      /got 5 norms, one for each of 128/,
    );
  });

  test("prefix and prompt", () => {
    const prefix = { architecture: "prefix_tuning", bottleneck_size: 48, use_gating: true };
    const tensors = draw(prefix);
    expectDeviation(get(tensors, "prefix.wte.weight"), 1);
    expectUniform(get(tensors, "prefix.control_trans.0.weight"), 1 / Math.sqrt(128));
    expectUniform(get(tensors, "prefix.control_trans.2.weight"), 1 / Math.sqrt(48));
    expectUniform(get(tensors, "prefix.control_trans.2.bias"), 1 / Math.sqrt(48));
    expectDeviation(get(tensors, "layers.0.prefix_gate.weight"), 0.02);
    expectDeviation(get(draw({ ...prefix, flat: true }), "prefix.control_trans"), 1);
    expectUniform(get(draw("prompt_tuning"), "prompt.weight"), 0.5);
    const text = { architecture: "prompt_tuning", prompt_init: "from_string", prompt_init_text: "Is it?" };
    expect(() => draw(text)).toThrow(/prompt_init is from_string/);
  });
});

describe("seeds", () => {
  const down = (tensors: Record<string, Float32Array>, layer: number): Float32Array =>
    get(tensors, `layers.${layer}.ffn.adapter_down.0.weight`);

  test("modules differ, draws repeat, other seeds draw other numbers", () => {
    expect(down(draw("seq_bn"), 0)).not.toEqual(down(draw("seq_bn"), 1));
    expect(draw("seq_bn", 5)).toEqual(draw("seq_bn", 5));
    expect(down(draw("seq_bn", 5), 0)).not.toEqual(down(draw("seq_bn", 6), 0));
  });

  test("init_weights_seed makes all modules alike; 0 counts as unset", () => {
    const seeded = draw({ ...bottleneck, init_weights_seed: 9 }, 5);
    expect(down(seeded, 0)).toEqual(down(seeded, 2));
    expect(seeded).toEqual(draw({ ...bottleneck, init_weights_seed: 9 }, 6));
    expect(draw({ ...bottleneck, init_weights_seed: 0 }, 5)).toEqual(draw(bottleneck, 5));
  });

  test.each([0, 7])("the layer site draws what it always drew, seed %d", (init_weights_seed) => {
    const raw = { layer_adapter: true, reduction_factor: 4, init_weights: "bert", init_weights_seed, leave_out: [1] };
    const tensors = draw(raw);
    for (const layer of [0, 2]) {
      const both = normal(init_weights_seed * 1000003 + layer, 2 * 128 * 32, 0.02);
      expect(get(tensors, `layers.${layer}.adapter_down.0.weight`)).toEqual(both.slice(0, 128 * 32));
      expect(get(tensors, `layers.${layer}.adapter_up.weight`)).toEqual(both.slice(128 * 32));
    }
  });

  test("absurd sizes are refused before they are allocated", () => {
    const config = readAdapterConfig({ ...lora, r: 2 ** 40 }, host);
    expect(() => initialTensors(config, host)).toThrow(/at most 536870912/);
  });
});
