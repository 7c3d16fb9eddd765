/** @file Prefixes on routed causal layers against MATHS §1.2 and §2.8 in plain float64 loops: every query sees them, and they have no place in the causal order. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stack } from "../../src/adapters/composition.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { LayerRouting, Tensor } from "../../src/model/types.ts";
import { normal } from "../../src/random.ts";
import { activate } from "../../src/reference/activation.ts";
import { coda } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import { codaLayer } from "./coda-float64.ts";
import type { PlainLayer, Rows } from "./coda-float64.ts";
import { idsOf, lively } from "./lively.ts";
import type { LivelyAdapter } from "./lively.ts";
import { relativeError } from "./truth.ts";

/** As in coda.test.ts: λ multiplies the rounding of a score, 3e-6, by 1/ε ≤ 4. */
const TOLERANCE = 1e-4;
const LENGTHS = [17, 1, 9];
const LENGTH = 3;
const LAYERS = 2;

const tiny = tinyModel("gpt2");
const { width } = tiny.host.shape;
const ROUTERS = [21, 22].map((seed) => normal(seed, width, 1 / Math.sqrt(width)));

const plain: PlainLayer = {
  width,
  heads: tiny.host.shape.heads,
  ffn: tiny.host.shape.ffnWidth,
  pre: true,
  causal: true,
  eps: 1e-5,
  activation: (v) => activate("gelu_new", v),
  weight: (name) => tiny.parameter(`layers.0.${name}`).data,
};

/** Rows of layer 0: of the view [L, 2 · layers, d] block 0 holds its keys, block 1 its values. */
function front({ tensors }: LivelyAdapter, input: Rows): { keys: Rows; values: Rows } {
  const { data } = tensors["prefix.control_trans"] as LivelyAdapter["tensors"][string];
  const gate = tensors["layers.0.prefix_gate.weight"];
  const bias = tensors["layers.0.prefix_gate.bias"];
  const gates = [0, 1].map((which) => {
    if (gate === undefined || bias === undefined) return 1;
    const at = gate.shape[0] === 1 ? 0 : which;
    const sigmoids = input.map((row) => {
      const sum = row.reduce((all, v, i) => all + v * (gate.data[at * width + i] as number), bias.data[at] as number);
      return 1 / (1 + Math.exp(-sum));
    });
    return sigmoids.reduce((a, b) => a + b, 0) / sigmoids.length;
  });
  const block = (which: 0 | 1): Rows =>
    Array.from({ length: LENGTH }, (_, row) =>
      Array.from({ length: width }, (__, i) => {
        const value = data[(row * 2 * LAYERS + which) * width + i] as number;
        return value * (gates[which] as number);
      }),
    );
  return { keys: block(0), values: block(1) };
}

describe("prefixes on routed causal layers", () => {
  let model: Model;
  const adapters: Record<string, LivelyAdapter> = {};

  beforeAll(async () => {
    model = await loadFolder(await sharedGpu(), tiny.folder);
    const config = { architecture: "prefix_tuning", flat: true, prefix_length: LENGTH };
    adapters.first = lively(model.host.shape, config, 1);
    adapters.second = lively(model.host.shape, config, 2);
    adapters.gated = lively(model.host.shape, { ...config, use_gating: true }, 3);
    adapters.twice = lively(model.host.shape, { ...config, use_gating: true, shared_gating: false }, 4);
    for (const [name, adapter] of Object.entries(adapters)) await model.addAdapter(name, adapter);
  });
  afterAll(async () => model.dispose());

  test.each([
    ["k-to-k", 2, ["first"]],
    ["k-to-all", 3, ["first"]],
    ["k-to-k", 3, ["first", "second"]],
    ["k-to-all", 2, ["first", "second"]],
    ["k-to-k", 2, ["gated"]],
    ["k-to-k", 2, ["gated", "twice"]],
    ["k-to-all", 2, ["gated", "twice"]],
  ] as const)("%s, r = %d, %s", async (attention, reduction, names) => {
    model.setActive(names.length === 1 ? names[0] : stack(...names));
    model.setRouting(coda({ reduction, attention, epsilon: 0.25, weights: ROUTERS }));
    const captures = ["layers.0.input", "layers.0.output", "layers.0.attention.probabilities"];
    const out = await model.run(idsOf(LENGTHS), { capture: captures });
    const [input, output] = captures.map((name) => (out.captures[name] as { data: Float32Array }).data) as [
      Float32Array,
      Float32Array,
    ];
    const layer: PlainLayer = {
      ...plain,
      // In a stack the later one ends up leftmost.
      prefix: (rows) => {
        const all = [...names].reverse().map((name) => front(adapters[name] as LivelyAdapter, rows));
        return { keys: all.flatMap(({ keys }) => keys), values: all.flatMap(({ values }) => values) };
      },
    };
    const options = { reduction, all: attention === "k-to-all", epsilon: 0.25, iterations: 20, start: 4, decay: 0.7 };
    const nothing = (rows: Rows): Rows => rows.map((row) => row.map(() => 0));
    let from = 0;
    LENGTHS.forEach((length, s) => {
      const rows = Array.from({ length }, (_, r) =>
        Array.from(input.slice((from + r) * width, (from + r + 1) * width)),
      );
      const expected = codaLayer(layer, rows, nothing, ROUTERS[0] as Float32Array, options);
      const selected = Array.from((out.routing as readonly LayerRouting[])[0]?.selected ?? []).filter(
        (row) => row >= from && row < from + length,
      );
      expect(selected).toEqual(expected.selected.map((row) => row + from));
      const found = output.slice(from * width, (from + length) * width);
      expect(relativeError(found, expected.y.flat())).toBeLessThan(TOLERANCE);
      const without = codaLayer(plain, rows, nothing, ROUTERS[0] as Float32Array, options);
      expect(relativeError(without.y.flat(), expected.y.flat())).toBeGreaterThan(100 * TOLERANCE);
      const keys = names.length * LENGTH + (attention === "k-to-all" ? length : selected.length);
      const probabilities = (out.captures["layers.0.attention.probabilities"] as Tensor[])[s];
      expect(probabilities?.shape).toEqual([plain.heads, selected.length, keys]);
      from += length;
    });
  });

  test("r = 1 with λ ≡ 1 is the dense layer", async () => {
    const run = async (): Promise<Float32Array> => {
      const { hidden } = await model.run(idsOf(LENGTHS));
      return (hidden as { data: Float32Array }).data;
    };
    model.setActive(stack("first", "gated"));
    model.setRouting(null);
    const dense = await run();
    for (const attention of ["k-to-k", "k-to-all"] as const) {
      model.setRouting(coda({ reduction: 1, lambda: 1, attention }));
      // The gate is the mean over the rows that keys are made of: all of them here.
      expect(relativeError(await run(), dense)).toBeLessThan(TOLERANCE);
    }
  });
});
