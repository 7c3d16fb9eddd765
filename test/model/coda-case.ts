/** @file A tiny model of each architecture, its routed layers in float64 beside it, and the comparison of the two. */

import { expect } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { LayerRouting, RoutedRows, RunInput, RunOptions, RunOutput, Tensor } from "../../src/model/types.ts";
import { normal } from "../../src/random.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { bottleneck, scalar } from "./coda-bottleneck.ts";
import { contentKey, plainChoice } from "./coda-choices.ts";
import type { ChoiceSettings } from "./coda-choices.ts";
import { routedLayer } from "./coda-float64.ts";
import type { PlainChoice, PlainLayer, PlainRouting, Rows } from "./coda-float64.ts";
import { idsOf, lively } from "./lively.ts";
import type { LivelyAdapter, RawAdapter } from "./lively.ts";
import { relativeError } from "./truth.ts";

/**
 * Scores are sums of at most 48 products, each rounded by 2⁻²⁴: 3e-6. λ = exp((s + a) / ε) multiplies that by 1 / ε = 4, and a
 * routed layer of about ten sums of width 16 to 48 carries it on.
 */
export const TOLERANCE = 1e-4;
export const EPSILON = 0.25;
/** Where something must matter, it does so far above rounding. */
export const MATTERS: number = 100 * TOLERANCE;

/** A host under test. */
export interface CodaCase {
  readonly family: string;
  readonly tiny: TinyModel;
  readonly model: Model;
  readonly lengths: readonly number[];
  readonly input: RunInput;
  /** Random trained vectors, by layer. */
  readonly vectors: readonly Readonly<Record<"score" | "keys", Float32Array>>[];
  readonly plain: (layer: number) => PlainLayer;
}

/** Ragged sequences of a family; the first row of KWT's is its class token. */
export function inputOf(family: string, lengths: readonly number[], seed = 5): RunInput {
  if (family !== "kwt") return idsOf(lengths, seed);
  const features = lengths.map((n, i) => ({ data: normal(seed + i, (n - 1) * 5), shape: [n - 1, 5] }));
  return { features };
}

/** The sequences of an input, one by one. */
export function sequencesOf(input: RunInput): RunInput[] {
  const [kind, all] = Object.entries(input)[0] as [string, readonly unknown[]];
  return all.map((one) => ({ [kind]: [one] }));
}

/** Sequences put together in another order. */
export function joined(sequences: readonly RunInput[]): RunInput {
  const [kind] = Object.keys(sequences[0] as RunInput) as [keyof RunInput];
  return { [kind]: sequences.flatMap((one) => one[kind] as unknown as unknown[]) };
}

/** The words of a sequence that a random router tells it by. */
function keyOf(one: RunInput): number {
  const features = one.features?.[0];
  if (features !== undefined) return contentKey(features.data);
  const ids = Uint32Array.from(one.ids?.[0] as number[]);
  return contentKey(ids, new Uint32Array(ids.length));
}

function plainLayers(family: string, tiny: TinyModel): (layer: number) => PlainLayer {
  const { shape } = tiny.host;
  const known = new Map<string, ArrayLike<number>>();
  const eps = { albert: 1e-12, gpt2: 1e-5, kwt: 1e-6 }[family] as number;
  const activation = scalar(family === "albert" ? "gelu" : "gelu_new");
  const weight = (name: string): ArrayLike<number> => {
    const found = known.get(name) ?? (family === "kwt" && name.endsWith("qkv.bias") ? [] : tiny.parameter(name).data);
    known.set(name, found);
    return found;
  };
  return (layer) => ({
    width: shape.width,
    heads: shape.heads,
    ffn: shape.ffnWidth,
    pre: shape.normPosition === "pre",
    causal: shape.causal,
    eps,
    activation,
    weight: (name) => weight(`${family === "albert" ? "groups.0" : `layers.${layer}`}.${name}`),
  });
}

/** Loads a tiny model. */
export async function codaCase(family: string): Promise<CodaCase> {
  const tiny = tinyModel(family);
  const model = await loadFolder(await sharedGpu(), tiny.folder);
  const { width, layers } = tiny.host.shape;
  const lengths = family === "kwt" ? [8, 2, 5] : [17, 1, 9];
  const draw = (seed: number): Float32Array => normal(seed, width, 1 / Math.sqrt(width));
  const vectors = Array.from({ length: layers }, (_, layer) => ({ score: draw(31 + layer), keys: draw(71 + layer) }));
  return { family, tiny, model, lengths, input: inputOf(family, lengths), vectors, plain: plainLayers(family, tiny) };
}

/** A host with an active adapter: a bottleneck around every layer, which is the light path of those that are routed. */
export interface LitCase extends CodaCase {
  readonly light: LivelyAdapter;
  /** What the light path adds to a layer with this input. */
  readonly lit: (x: Rows, layer: number) => Rows;
}

/** Loads a tiny model and makes an adapter with a `layer_adapter` active, named `light`. */
export async function litCase(family: string, config: RawAdapter, seed: number): Promise<LitCase> {
  const given = await codaCase(family);
  const light = lively(given.model.host.shape, config, seed);
  await given.model.addAdapter("light", light);
  given.model.setActive("light");
  return { ...given, light, lit: (x, layer) => bottleneck(light, `layers.${layer}.`, x) };
}

/** The vectors of the routed layers, as `coda` takes them. */
export function weightsFor(
  { vectors }: CodaCase,
  reduction: CodaOptions["reduction"],
  names: readonly string[],
): Float32Array[] {
  const routed = vectors.filter((_, layer) => typeof reduction === "number" || reduction[layer] !== null);
  return names.flatMap((name) => routed.map((of) => of[name as "score" | "keys"]));
}

/** Runs with a policy and captures what the layers read and give. */
export async function runRouted(
  { model, input, tiny }: CodaCase,
  options: CodaOptions,
  { capture = [], ...rest }: RunOptions = {},
): Promise<RunOutput> {
  model.setRouting(coda(options));
  const ends = Array.from({ length: tiny.host.shape.layers }, (_, layer) => [
    `layers.${layer}.input`,
    `layers.${layer}.output`,
  ]);
  return model.run(input, { ...rest, capture: [...ends.flat(), ...capture] });
}

/** What the float64 layers are built with. */
export interface Expectation {
  readonly router: string;
  /** As `coda` has them, beside what it fills in. */
  readonly choice?: Partial<ChoiceSettings>;
  readonly part?: PlainRouting["part"];
  readonly all?: boolean;
  /** λ on every row. */
  readonly lambda?: number;
  readonly places?: (sequence: number, layer: number, length: number) => readonly number[];
  readonly light?: (x: Rows, layer: number, sequence: number) => Rows;
  readonly around?: (x: Rows, layer: number, sequence: number) => Rows;
  readonly layer?: (plain: PlainLayer, layer: number, sequence: number) => PlainLayer;
}

/** The rows of a captured value that belong to one sequence. */
export function rowsOf({ data, shape, segments }: Tensor, sequence: number): Rows {
  const width = shape[1] as number;
  const [from, to] = [segments?.[sequence] as number, segments?.[sequence + 1] as number];
  return Array.from({ length: to - from }, (_, r) =>
    Array.from(data.slice((from + r) * width, (from + r + 1) * width)),
  );
}

function compareChoice(found: RoutedRows, expected: PlainChoice, from: number): void {
  const to = from + expected.scores.length;
  const selected = Array.from(found.selected).filter((row) => row >= from && row < to);
  expect(selected).toEqual(expected.selected.map((row) => row + from));
  expect(relativeError(found.scores.slice(from, to), expected.scores)).toBeLessThan(TOLERANCE);
  expect(relativeError(found.weights.slice(from, to), expected.weights)).toBeLessThan(TOLERANCE);
}

/** The expected choice and output of one sequence in one layer. */
export function expectedLayer(
  from: CodaCase,
  { reduction, block, seed }: CodaOptions,
  expectation: Expectation,
  at: { readonly x: Rows; readonly layer: number; readonly sequence: number; readonly key: number },
): { y: Rows; choice: PlainChoice } {
  const { x, layer, sequence, key } = at;
  const { router, choice, part = "layer", all = false, lambda, places, light, around } = expectation;
  const settings: ChoiceSettings = {
    layer,
    reduction: (typeof reduction === "number" ? reduction : reduction[layer]) as number,
    vectors: from.vectors[layer] as CodaCase["vectors"][number],
    epsilon: EPSILON,
    key,
    ...(block === undefined ? {} : { block }),
    ...(seed === undefined ? {} : { seed }),
    ...(places === undefined ? {} : { places: places(sequence, layer, x.length) }),
    ...choice,
  };
  const choose = (rows: Rows): PlainChoice => {
    const made = plainChoice(router, rows, settings);
    return lambda === undefined ? made : { ...made, weights: made.weights.map(() => lambda) };
  };
  const plain = from.plain(layer);
  return routedLayer(expectation.layer?.(plain, layer, sequence) ?? plain, x, {
    part,
    all,
    choose,
    light: (rows) => light?.(rows, layer, sequence) ?? rows.map((row) => row.map(() => 0)),
    ...(around === undefined ? {} : { around: (rows) => around(rows, layer, sequence) }),
  });
}

/** Compares every routed layer of a run with float64: choice of every sequence, λ and score of every row, output. */
export function expectLayers(from: CodaCase, out: RunOutput, options: CodaOptions, expectation: Expectation): void {
  const keys = sequencesOf(from.input).map(keyOf);
  let compared = 0;
  out.routing?.forEach((routing, layer) => {
    if (routing === null) return;
    const [input, output] = ["input", "output"].map((end) => out.captures[`layers.${layer}.${end}`]) as [
      Tensor,
      Tensor,
    ];
    const sequences = (input.segments?.length ?? 1) - 1;
    for (let sequence = 0; sequence < sequences; sequence += 1) {
      const x = rowsOf(input, sequence);
      const key = keys[sequence % keys.length] as number;
      const { y, choice } = expectedLayer(from, options, expectation, { x, layer, sequence, key });
      const first = input.segments?.[sequence] as number;
      compareChoice(routing, choice, first);
      expect(routing.keys === undefined).toBe(choice.keys === undefined);
      if (choice.keys !== undefined) compareChoice((routing as Required<LayerRouting>).keys, choice.keys, first);
      expect(
        relativeError(rowsOf(output, sequence).flat(), y.flat()),
        `layer ${layer}, sequence ${sequence}`,
      ).toBeLessThan(TOLERANCE);
      compared += 1;
    }
  });
  expect(compared).toBeGreaterThan(0);
}
