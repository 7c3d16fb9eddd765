/** @file CoDA layers through the whole stack, on post-LN and pre-LN hosts: exact properties, and MATHS §1.2 in plain loops. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { LayerRouting, RunInput, RunOutput } from "../../src/model/types.ts";
import { normal } from "../../src/random.ts";
import { activate } from "../../src/reference/activation.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { codaLayer } from "./coda-float64.ts";
import { relativeError } from "./truth.ts";

/** f32 through a few layers of width 32 to 48: sums of at most 48 terms, about ten of them in a row, norms on top. */
const TOLERANCE = 2e-5;
/**
 * λ = exp((s + a) / ε) multiplies the rounding of scores and of a, each about 8·√32·2⁻²⁴ = 2.7e-6, by 1/ε ≤ 33: 1.8e-4. The
 * routed rows carry it on.
 */
const ROUTED_TOLERANCE = 2e-4;
const ADAPTER = {
  config: {
    layer_adapter: true,
    reduction_factor: 4,
    init_weights: "bert",
    init_weights_seed: 7,
    non_linearity: "gelu",
    scaling: 1.5,
  },
};

/** Ragged sequences that every text host takes, and as many clips for the audio host. */
function inputFor(family: string, lengths: readonly number[], seed = 5): RunInput {
  if (family === "kwt") {
    const clips = lengths.map((_, i) => normal(seed + i, 72, 0.3).map((v) => Math.max(-1, Math.min(1, v))));
    return { audio: clips };
  }
  return { ids: lengths.map((n, i) => Array.from({ length: n }, (_, t) => (t * 7 + i * 3 + seed) % 30)) };
}

const hidden = (out: RunOutput): Float32Array => (out.hidden as { data: Float32Array }).data;
const rowsOf = (out: RunOutput): Uint32Array => (out.hidden as { segments: Uint32Array }).segments;

describe.each(["albert", "gpt2", "kwt"])("CoDA on a tiny %s", (family) => {
  let gpu: Gpu;
  let tiny: TinyModel;
  let model: Model;
  const lengths = [17, 1, 9];

  beforeAll(async () => {
    gpu = await sharedGpu();
    tiny = tinyModel(family);
    model = await loadFolder(gpu, tiny.folder);
    await model.addAdapter("light", ADAPTER);
  });
  afterAll(async () => model.dispose());

  const run = async (
    options: CodaOptions | null,
    adapter: string | null = "light",
    which = lengths,
  ): Promise<RunOutput> => {
    model.setActive(adapter);
    model.setRouting(options === null ? null : coda(options));
    return model.run(inputFor(family, which));
  };

  test.each(["k-to-k", "k-to-all"] as const)(
    "r = 1 with λ ≡ 1 is the dense layer plus adapter, %s",
    async (attention) => {
      const dense = await run(null);
      const routed = await run({ reduction: 1, lambda: 1, attention });
      expect(relativeError(hidden(routed), hidden(dense))).toBeLessThan(TOLERANCE);
      // The adapter must matter, or this would show nothing.
      expect(relativeError(hidden(await run(null, null)), hidden(dense))).toBeGreaterThan(100 * TOLERANCE);
    },
  );

  test("r = 1 has one product for queries, keys and values in both forms, so equal launches and bits", async () => {
    model.setActive("light");
    const runs = [];
    for (const attention of ["k-to-k", "k-to-all"] as const) {
      model.setRouting(coda({ reduction: 1, attention }));
      runs.push({
        launches: (await model.explain(lengths)).launches,
        hidden: hidden(await run({ reduction: 1, attention })),
      });
    }
    expect(runs[1]).toEqual(runs[0]);
    model.setRouting(coda({ reduction: 2, attention: "k-to-all" }));
    expect((await model.explain(lengths)).launches).toBeGreaterThan(runs[0]?.launches as number);
  });

  test("r = 1 saturates: λ is exactly 1 for every token", async () => {
    const out = await run({ reduction: 1 });
    for (const layer of out.routing ?? []) expect(layer?.weights.every((weight) => weight === 1)).toBe(true);
  });

  test.each(["k-to-k", "k-to-all"] as const)(
    "a zero up-projection and λ ≡ 0 is the identity, %s",
    async (attention) => {
      await model.addAdapter("zero", {
        config: { layer_adapter: true, reduction_factor: 4, init_weights: "mam_adapter" },
      });
      model.setActive("zero");
      model.setRouting(coda({ reduction: 3, lambda: 0, attention }));
      const out = await model.run(inputFor(family, lengths), { capture: ["layers.0.input", "layers.1.output"] });
      const { "layers.0.input": input, "layers.1.output": output } = out.captures as Record<
        string,
        { data: Float32Array }
      >;
      expect(output?.data).toEqual(input?.data);
      model.removeAdapter("zero");
    },
  );

  test("an unselected token is x + A(·), selected ones are not", async () => {
    const options: CodaOptions = { reduction: 3, epsilon: 1 };
    model.setActive("light");
    model.setRouting(coda(options));
    const names = ["layers.0.input", "layers.0.output"];
    const routed = await model.run(inputFor(family, lengths), { capture: names });
    model.setRouting(coda({ ...options, lambda: 0 }));
    const light = await model.run(inputFor(family, lengths), { capture: names });
    const at = (out: RunOutput): Float32Array => (out.captures["layers.0.output"] as { data: Float32Array }).data;
    const width = tiny.host.shape.width;
    const selected = new Set(routed.routing?.[0]?.selected);
    for (let row = 0; row < (rowsOf(routed).at(-1) as number); row += 1) {
      const pair = [at(routed), at(light)].map((data) => data.slice(row * width, (row + 1) * width));
      if (selected.has(row)) expect(pair[0]).not.toEqual(pair[1]);
      else expect(pair[0]).toEqual(pair[1]);
    }
  });

  test.each(["k-to-k", "k-to-all"] as const)(
    "permuting the sequences permutes the output bit for bit, %s",
    async (attention) => {
      model.setActive("light");
      model.setRouting(coda({ reduction: 3, attention }));
      const input = inputFor(family, lengths);
      const order = [2, 0, 1];
      const shuffled: RunInput = Object.fromEntries(
        Object.entries(input).map(([kind, all]) => [kind, order.map((i) => (all as unknown[])[i])]),
      );
      const straight = await model.run(input);
      const mixed = await model.run(shuffled);
      const width = tiny.host.shape.width;
      order.forEach((source, target) => {
        const cut = (out: RunOutput, i: number): Float32Array =>
          hidden(out).slice((rowsOf(out)[i] as number) * width, (rowsOf(out)[i + 1] as number) * width);
        expect(cut(mixed, target)).toEqual(cut(straight, source));
      });
    },
  );

  test("a batch equals its sequences run one by one, bit for bit, under one plan", async () => {
    model.setActive("light");
    model.setRouting(coda({ reduction: 2, attention: "k-to-all" }));
    const input = inputFor(family, lengths);
    const [kind, all] = Object.entries(input)[0] as [string, unknown[]];
    const batch = await model.run(input);
    const width = tiny.host.shape.width;
    for (const [i, one] of all.entries()) {
      const single = await model.run({ [kind]: [one] });
      expect(hidden(single)).toEqual(
        hidden(batch).slice((rowsOf(batch)[i] as number) * width, (rowsOf(batch)[i + 1] as number) * width),
      );
    }
  });

  test("across plans of other capacities the result is the same to rounding", async () => {
    const other = await loadFolder(gpu, tiny.folder, { maxRows: 512 });
    await other.addAdapter("light", ADAPTER);
    other.setActive("light");
    other.setRouting(coda({ reduction: 2 }));
    const large = await other.run(inputFor(family, lengths));
    expect(relativeError(hidden(await run({ reduction: 2 })), hidden(large))).toBeLessThan(TOLERANCE);
    await other.dispose();
  });

  test("reduction per layer: null leaves a layer dense", async () => {
    const reduction = tiny.host.shape.layers === 3 ? [null, 2, 5] : [null, 4];
    const out = await run({ reduction });
    expect(out.routing?.map((layer) => layer === null)).toEqual(reduction.map((factor) => factor === null));
    const counts = (factor: number): number =>
      Array.from(rowsOf(out).slice(1), (end, i) => Math.ceil((end - (rowsOf(out)[i] as number)) / factor)).reduce(
        (a, b) => a + b,
      );
    reduction.forEach((factor, layer) => {
      if (factor !== null) expect(out.routing?.[layer]?.selected).toHaveLength(counts(factor));
    });
  });

  test.each([
    ["k-to-k", 0.03, 2],
    ["k-to-all", 0.3, 3],
  ] as const)(
    "the routed layer is MATHS §1.2 in plain float64 loops: %s, ε %d, r %d",
    async (attention, epsilon, reduction) => {
      model.setActive("light");
      model.setRouting(coda({ reduction, attention, epsilon, seed: 11 }));
      const names = ["layers.0.input", "layers.0.output"];
      const out = await model.run(inputFor(family, lengths), { capture: names });
      const { shape } = tiny.host;
      const [input, output] = names.map((name) => (out.captures[name] as { data: Float32Array }).data) as [
        Float32Array,
        Float32Array,
      ];
      const prefix = family === "albert" ? "groups.0" : "layers.0";
      const plain = {
        width: shape.width,
        heads: shape.heads,
        ffn: shape.ffnWidth,
        pre: shape.normPosition === "pre",
        causal: shape.causal,
        eps: { albert: 1e-12, gpt2: 1e-5, kwt: 1e-6 }[family] as number,
        activation: (v: number) => activate(family === "albert" ? "gelu" : "gelu_new", v),
        weight: (name: string) =>
          name === "qkv.bias" && family === "kwt" ? [] : tiny.parameter(`${prefix}.${name}`).data,
      };
      const router = routerVector(shape.width, 11);
      const light = lightPath(shape.width);
      const segments = rowsOf(out);
      for (let s = 0; s + 1 < segments.length; s += 1) {
        const [from, to] = [segments[s] as number, segments[s + 1] as number];
        const rows = Array.from({ length: to - from }, (_, r) =>
          Array.from(input.slice((from + r) * shape.width, (from + r + 1) * shape.width)),
        );
        const options = { reduction, all: attention === "k-to-all", epsilon, iterations: 20, start: 4, decay: 0.7 };
        const expected = codaLayer(plain, rows, light, router, options);
        const layer = out.routing?.[0] as LayerRouting;
        expect(Array.from(layer.selected).filter((row) => row >= from && row < to)).toEqual(
          expected.selected.map((row) => row + from),
        );
        expect(relativeError(layer.weights.slice(from, to), expected.weights)).toBeLessThan(ROUTED_TOLERANCE);
        expect(relativeError(output.slice(from * shape.width, to * shape.width), expected.y.flat())).toBeLessThan(
          ROUTED_TOLERANCE,
        );
      }
    },
  );
});

/** The first router vector of an untrained policy: N(0, 1/width) from the seed. */
function routerVector(width: number, seed: number): Float32Array {
  return normal(seed, width, 1 / Math.sqrt(width));
}

/** A(x) of {@link ADAPTER} on layer 0, from the same draw of weights. */
function lightPath(width: number): (rows: number[][]) => number[][] {
  const bottleneck = Math.floor(width / 4);
  const draws = normal(7 * 1000003, 2 * width * bottleneck, 0.02);
  const down = draws.slice(0, width * bottleneck);
  const up = draws.slice(width * bottleneck);
  return (rows) =>
    rows.map((row) => {
      const u = Array.from({ length: bottleneck }, (_, b) =>
        activate(
          "gelu",
          row.reduce((sum, v, i) => sum + v * (down[b * width + i] as number), 0),
        ),
      );
      return row.map((_, i) => 1.5 * u.reduce((sum, v, b) => sum + v * (up[i * bottleneck + b] as number), 0));
    });
}
