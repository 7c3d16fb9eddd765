/**
 * @file Frozen encoders whose weights are drawn from a seed, in the layers of real models. They are hosts like any other and are
 * built by `model/build`, so what is timed is exactly what models run.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import type { Host, HostShape, WeightSpec } from "../hosts/host.ts";
import { ROWS, segmentsInput } from "../hosts/symbols.ts";
import { transformerLayers } from "../hosts/transformer-layer.ts";
import type { LayerSettings } from "../hosts/transformer-layer.ts";
import { WeightLookup, linearWeights, normWeights } from "../hosts/weights.ts";
import { normal } from "../random.ts";

/** Sizes of a synthetic encoder. */
export interface EncoderSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly ffnWidth: number;
  /** Units of the adapter's bottleneck. */
  readonly bottleneck: number;
  /**
   * "bert" (the default): layer norms after each half, biases, GELU. "t5": root-mean-square norms before each half, no biases, a gated
   * GELU, a bias of the scores by distance.
   */
  readonly style?: "bert" | "t5";
}

/** BERT-base's layer with the adapter of CoDA. */
export const bertBaseLayer: EncoderSizes = { layers: 1, width: 768, heads: 12, ffnWidth: 3072, bottleneck: 64 };

const LONGEST = 65_536;
/** Distances from which on T5 tells positions apart no more. */
const FAR = 128;
const BIAS = "distance";

/** @returns true where the feed-forward part has a third matrix. */
export function isGated({ style }: EncoderSizes): boolean {
  return style === "t5";
}

function layerWeights(index: number, sizes: EncoderSizes): WeightSpec[] {
  const { width, ffnWidth, style } = sizes;
  const name = `layers.${index}`;
  const t5 = style === "t5";
  const linear = (part: string, inputs: number, out: number): WeightSpec[] =>
    linearWeights({ name: `${name}.${part}`, parts: [{ tensor: `${name}.${part}`, out }], inputs, bias: !t5 });
  const norm = (part: string): WeightSpec[] =>
    normWeights(`${name}.${part}`, `${name}.${part}`, width, t5 ? "rms" : "layer");
  return [
    ...linear("qkv", width, 3 * width),
    ...linear("proj", width, width),
    ...norm("norm1"),
    ...linear("up", width, ffnWidth),
    ...(isGated(sizes) ? linear("gate", width, ffnWidth) : []),
    ...linear("down", ffnWidth, width),
    ...norm("norm2"),
  ];
}

function hostWeights(sizes: EncoderSizes): WeightSpec[] {
  const layers = Array.from({ length: sizes.layers }, (_, index) => layerWeights(index, sizes)).flat();
  if (sizes.style !== "t5") return layers;
  return [...layers, { name: BIAS, shape: [2 * FAR + 1, sizes.heads], kind: "table", parts: [] }];
}

/** Builds the host: rows come in as they are, as the run-time input `x`, and leave without a final norm. */
export function syntheticHost(sizes: EncoderSizes): Host {
  const { layers, width, heads, ffnWidth, style } = sizes;
  const t5 = style === "t5";
  const shape: HostShape = {
    family: "synthetic",
    width,
    layers,
    heads,
    headWidth: width / heads,
    ffnWidth,
    normPosition: t5 ? "pre" : "post",
    causal: false,
    maxTokens: LONGEST,
    input: { kind: "ids", vocabulary: 0, types: 0 },
    ...(isGated(sizes) ? { gated: true } : {}),
  };
  const specs = hostWeights(sizes);
  const weights = new WeightLookup(specs, false);
  // T5 has the factor of the scores in its weights; those drawn here do not.
  const relativeBias = (b: GraphBuilder): Value => weights.value(b, BIAS);
  const settings: LayerSettings = t5
    ? { shape, weights, activation: "gelu_new", eps: 1e-6, relativeBias }
    : { shape, weights, activation: "gelu", eps: 1e-12 };
  return {
    shape,
    weights: specs,
    ignored: [],
    embed: (b) => ({ hidden: b.input("x", [ROWS, width]), segments: segmentsInput(b) }),
    ...transformerLayers(settings),
    finish: (_, x) => x,
    head: null,
  };
}

/**
 * Draws a parameter so that activations keep their size: matrices from N(0, 1/inputs), tables from N(0, 1), biases small, norms
 * around the identity.
 */
export function drawWeight({ name, shape, kind }: WeightSpec, seed: number): Float32Array {
  const count = shape.reduce((product, axis) => product * axis, 1);
  if (kind === "matrix") return normal(seed, count, 1 / Math.sqrt(shape[1] as number));
  if (kind === "table") return normal(seed, count);
  return name.includes("norm") && name.endsWith(".weight") ? normal(seed, count, 0.1, 1) : normal(seed, count, 0.1);
}
