/** @file The light path: every form of bottleneck, and compositions of them, as functions of the layer's input without a skip, against plain float64. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { average, batchSplit, fuse, parallel, stack } from "../../src/adapters/composition.ts";
import type { CompositionInput } from "../../src/adapters/composition.ts";
import { EngineError } from "../../src/errors.ts";
import type { RunOptions } from "../../src/model/types.ts";
import { normal } from "../../src/random.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import { EPSILON, MATTERS, codaCase, expectLayers, runRouted, weightsFor } from "./coda-case.ts";
import type { CodaCase } from "./coda-case.ts";
import { bottleneck, fusion, nothing, upOutput } from "./coda-bottleneck.ts";
import { add } from "./coda-float64.ts";
import type { Rows } from "./coda-float64.ts";
import { hiddenOf, lively } from "./lively.ts";
import type { LivelyAdapter } from "./lively.ts";
import { relativeError } from "./truth.ts";

type Fields = Readonly<Record<string, unknown>>;

const ffn = { mh_adapter: false, output_adapter: true, reduction_factor: 4, non_linearity: "relu" };
const both = { ...ffn, mh_adapter: true };
const FORMS: Readonly<Record<string, Fields>> = {
  pfeiffer: { ...ffn, original_ln_before: true },
  houlsby: { ...both, non_linearity: "swish", original_ln_before: false },
  "without the host's norms after it": { ...ffn, original_ln_before: true, original_ln_after: false },
  "with its skip elsewhere": { ...ffn, original_ln_before: true, residual_before_ln: false },
  parallel: { ...ffn, is_parallel: true, scaling: 4 },
  "scaled parallel": { ...ffn, is_parallel: true, scaling: "learned" },
  "scaled by channel": { ...both, scaling: "channel" },
  gated: { ...both, use_gating: true },
  "own norm before": { ...ffn, ln_before: true },
  "own norm after": { ...both, ln_after: true },
  "own norms, gate, skip in the norm": {
    ...ffn,
    ln_before: true,
    ln_after: true,
    use_gating: true,
    adapter_residual_before_ln: true,
  },
  "shared by the layers": { ...both, cross_layer_sharing: true },
  compacter: { ...both, phm_layer: true, phm_dim: 4, non_linearity: "gelu" },
  "around the layer": { layer_adapter: true, reduction_factor: 4, non_linearity: "gelu" },
  "in one layer only": { ...ffn, leave_out: [0] },
};

/** Σ of the bottlenecks of an adapter in a layer, wherever they stand. */
function sumOf(adapter: LivelyAdapter, x: Rows, layer: number): Rows {
  const { cross_layer_sharing, mh_adapter, output_adapter, layer_adapter, leave_out = [] } = adapter.config as Fields;
  if ((leave_out as number[]).includes(layer)) return nothing(x);
  const room = cross_layer_sharing === true ? "shared." : `layers.${layer}.`;
  const places =
    layer_adapter === true
      ? [""]
      : [mh_adapter === true ? "attention." : null, output_adapter === true ? "ffn." : null];
  return places.reduce(
    (sum, place) => (place === null ? sum : add(sum, bottleneck(adapter, `${room}${place}`, x))),
    nothing(x),
  );
}

const scaled = (x: Rows, factor: number): Rows => x.map((row) => row.map((v) => v * factor));

describe.each(["albert", "gpt2", "kwt"])("on a tiny %s", (family) => {
  let given: CodaCase;
  const adapters: Record<string, LivelyAdapter> = {};
  const A = (name: string, x: Rows, layer: number): Rows => sumOf(adapters[name] as LivelyAdapter, x, layer);

  beforeAll(async () => {
    given = await codaCase(family);
    const { shape } = given.model.host;
    for (const [index, [name, config]] of Object.entries(FORMS).entries()) {
      adapters[name] = lively(shape, config, 11 + index);
      await given.model.addAdapter(name, adapters[name] as LivelyAdapter);
    }
  });
  afterAll(async () => given.model.dispose());

  /** Runs a composition on the light path and compares it with a function of the layer's input, which must matter. */
  async function compare(
    active: CompositionInput,
    light: (x: Rows, layer: number, sequence: number) => Rows,
    { reduction = 2, ...run }: RunOptions & { reduction?: number } = {},
  ): Promise<void> {
    const { model } = given;
    const options: CodaOptions = { reduction, epsilon: EPSILON, weights: weightsFor(given, reduction, ["score"]) };
    model.setActive(active);
    const out = await runRouted(given, options, run);
    expectLayers(given, out, options, { router: "learned", light });
    model.setActive(null);
    const bare = hiddenOf(await runRouted(given, options));
    const [found] = [hiddenOf(out)];
    expect(relativeError(bare, found.slice(0, bare.length))).toBeGreaterThan(MATTERS);
  }

  test.each(Object.keys(FORMS))("%s", async (name) => {
    await compare(name, (x, layer) => A(name, x, layer));
  });

  test("a stack adds up what all make of the layer's input", async () => {
    await compare(stack("pfeiffer", "gated", "parallel"), (x, layer) =>
      add(add(A("pfeiffer", x, layer), A("gated", x, layer)), A("parallel", x, layer)),
    );
  });

  test.each([
    [[0.3, 0.7], true],
    [[0.5, -0.2], false],
  ] as const)("an average with weights %j, normalised %s", async (weights, normalize) => {
    await compare(
      average("houlsby", stack("pfeiffer", "own norm after"), { weights: [...weights], normalize }),
      (x, layer) =>
        add(
          scaled(A("houlsby", x, layer), weights[0]),
          scaled(add(A("pfeiffer", x, layer), A("own norm after", x, layer)), weights[1]),
        ),
    );
  });

  test("a batch split, with averages and gates in some of its parts", async () => {
    const blend = average("pfeiffer", "scaled by channel", { weights: [0.25, 0.5], normalize: false });
    await compare(batchSplit(blend, null, "gated", { batchSizes: [1, 1, 1] }), (x, layer, sequence) => {
      if (sequence === 1) return nothing(x);
      if (sequence === 2) return A("gated", x, layer);
      return add(scaled(A("pfeiffer", x, layer), 0.25), scaled(A("scaled by channel", x, layer), 0.5));
    });
  });

  test.each([
    ["pfeiffer", "own norms, gate, skip in the norm", null],
    [null, "gated", "gated"],
  ] as const)("an adapter per sequence: %s, %s, %s", async (...names) => {
    await compare(
      null,
      (x, layer, sequence) => {
        const name = names[sequence] as string | null;
        return name === null ? nothing(x) : A(name, x, layer);
      },
      { adapters: names },
    );
  });

  test("copies of a parallel run each have their own, and their own choice", async () => {
    const sequences = given.lengths.length;
    await compare(parallel("gated", "houlsby"), (x, layer, sequence) =>
      A(sequence < sequences ? "gated" : "houlsby", x, layer),
    );
  });

  test("layers whose adapters were dropped have no light path", async () => {
    given.model.dropAdapters({ layers: 1 });
    await compare("houlsby", (x, layer) => (layer < 1 ? nothing(x) : A("houlsby", x, layer)));
    given.model.dropAdapters(null);
  });

  test("a fusion reads the layer's input alone: folded and unfolded, with any residual and query", async () => {
    const { model } = given;
    const { width, layers } = model.host.shape;
    const cases: readonly [names: string[], config: Fields][] = [
      [["houlsby", "pfeiffer"], {}],
      [["houlsby", "scaled by channel"], { residual_before: true, query_before_ln: true }],
      [["houlsby", "own norm before"], { value_before_softmax: false }],
      [["pfeiffer", "own norm before"], { residual_before: true }],
      [["gated", "pfeiffer"], { value: false, key: false }],
    ];
    for (const [which, [names, config]] of cases.entries()) {
      const tensors: Record<string, { shape: number[]; data: Float32Array }> = {};
      const places = names.some((name) => adapters[name]?.tensors["layers.0.attention.adapter_up.weight"] !== undefined)
        ? ["attention", "ffn"]
        : ["ffn"];
      for (let layer = 0; layer < layers; layer += 1)
        for (const place of places)
          for (const part of ["query", "key", "value"].filter((one) => config[one] !== false)) {
            const seed = 1000 * which + 100 * layer + 10 * part.length + place.length;
            const key = `layers.${layer}.${place}.${part}`;
            tensors[`${key}.weight`] = { shape: [width, width], data: normal(seed, width * width, 0.3) };
            if (part !== "value") tensors[`${key}.bias`] = { shape: [width], data: normal(seed + 5, width, 0.3) };
          }
      await model.addFusion(names, { config, tensors });
      await compare(fuse(...names), (x, layer) =>
        places.reduce((sum, place) => {
          const prefix = `layers.${layer}.${place}.`;
          const standing = names.filter((name) => adapters[name]?.tensors[`${prefix}adapter_up.weight`] !== undefined);
          const values = standing.map((name) => upOutput(adapters[name] as LivelyAdapter, prefix, x));
          return add(sum, fusion(tensors, prefix, x, values));
        }, nothing(x)),
      );
    }
  });

  test("a fusion of stacks is refused by name, and the model goes on", async () => {
    const { model } = given;
    await model.addFusion(["compacter", "gated"], "dynamic");
    const options: CodaOptions = { reduction: 2, weights: weightsFor(given, 2, ["score"]) };
    model.setActive("pfeiffer");
    const before = hiddenOf(await runRouted(given, options));
    model.setActive(fuse(stack("pfeiffer", "compacter"), "gated"));
    const refused = await runRouted(given, options).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(EngineError);
    expect(refused).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/fuse\(…\)|fuse\(\.\.\.\) of stacks/) as string,
    });
    model.setRouting(null);
    expect((await model.run(given.input)).hidden).toBeDefined();
    model.setActive("pfeiffer");
    expect(hiddenOf(await runRouted(given, options))).toEqual(before);
  });

  test("an adapter without any bottleneck is no light path, and is refused by name", async () => {
    const { model } = given;
    const lora = { architecture: "lora" };
    const refusals: readonly (readonly [name: string, config: Fields, pattern: RegExp])[] = [
      ["lora", lora, /adapter lora has no bottleneck/],
      ["both", { architecture: "union", configs: [lora, ffn] }, /adapter both has more than bottlenecks/],
      ["inverted", { ...ffn, inv_adapter: "nice", inv_adapter_reduction_factor: 2 }, /adapter inverted has more/],
    ];
    for (const [name, config, pattern] of refusals) {
      await model.addAdapter(name, lively(model.host.shape, config, 1));
      const message = expect.stringMatching(pattern) as string;
      const error = expect.objectContaining({ code: "UNSUPPORTED", where: "coda.adapter", message }) as Error;
      expect(() => model.setRouting(coda({ reduction: 2, adapter: name }))).toThrow(error);
      model.removeAdapter(name);
    }
  });

  test("naming the active adapter as the light path says nothing new", async () => {
    const { model } = given;
    model.setActive("houlsby");
    const options: CodaOptions = { reduction: 2, weights: weightsFor(given, 2, ["score"]) };
    const out = hiddenOf(await runRouted(given, options));
    expect(hiddenOf(await runRouted(given, { ...options, adapter: "houlsby" }))).toEqual(out);
  });
});
