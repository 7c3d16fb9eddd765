/**
 * @file KWT (Berg et al. 2021), the Keyword Transformer: post-LN encoder over spectrogram frames with a class token. Its
 * audio front end (windowed DFT as matrices, mel, log, DCT) is part of the graph, so it runs from raw samples.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { elementwise } from "../ops/elementwise.ts";
import type { ElementwiseOperation } from "../ops/elementwise.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { matmul } from "../ops/matmul.ts";
import { runtimeDim } from "../ops/op.ts";
import { activationField, headWidthOf, only, positive, positiveNumber } from "./config.ts";
import type { Config } from "./config.ts";
import { FEATURE_ROWS, classTokenFeed, embedFeatures } from "./embed-features.ts";
import { firstTokenClassifier } from "./heads.ts";
import type { BatchLengths, Host, HostFeed, HostShape, HostSource, WeightSpec } from "./host.ts";
import { segmentsInput } from "./symbols.ts";
import { transformerLayers } from "./transformer-layer.ts";
import { WeightLookup, linearWeights, normWeights, plainWeight } from "./weights.ts";

/** Hops of samples that make a frame. */
const HOPS_PER_FRAME = 3;

interface FrontEnd {
  readonly hop: number;
  readonly frames: number;
  readonly bins: number;
  readonly mels: number;
  readonly coefficients: number;
}

function kwtShape(config: Config, frontEnd: FrontEnd): HostShape {
  only(config, "norm_position", "post");
  only(config, "class_token", true);
  only(config, "qkv_bias", false);
  const width = positive(config, "hidden_size");
  const heads = positive(config, "num_attention_heads");
  const sampleRate = positive(config, "sampling_rate", 16000);
  return {
    family: "kwt",
    width,
    layers: positive(config, "num_hidden_layers"),
    heads,
    headWidth: headWidthOf(width, heads),
    ffnWidth: positive(config, "intermediate_size"),
    normPosition: "post",
    causal: false,
    maxTokens: positive(config, "position_embeddings", frontEnd.frames + 1),
    input: {
      kind: "audio",
      sampleRate,
      samples: frontEnd.hop * (frontEnd.frames + HOPS_PER_FRAME - 1),
      frames: frontEnd.frames,
      featureWidth: frontEnd.coefficients,
    },
  };
}

function frontEndWeights({ hop, bins, mels, coefficients }: FrontEnd): WeightSpec[] {
  const at = (name: string, shape: readonly number[], kind: WeightSpec["kind"]): WeightSpec => {
    // Feature matrices stay in f32 whatever the precision of the weights: a logarithm follows.
    return { ...plainWeight(`frontend.${name}`, `frontend.${name}`, shape, kind), constant: true };
  };
  return [
    at("window", [hop * HOPS_PER_FRAME], "vector"),
    at("dft_a", [bins, hop * HOPS_PER_FRAME], "vector"),
    at("dft_b", [bins, hop * HOPS_PER_FRAME], "vector"),
    at("mel", [mels, bins], "vector"),
    at("log_floor", [1], "vector"),
    at("dct", [coefficients, mels], "vector"),
    at("norm_sub", [1], "vector"),
    at("norm_mul", [coefficients], "vector"),
  ];
}

function layerWeights(index: number, { width, ffnWidth }: HostShape): WeightSpec[] {
  const at = `blocks.${index}`;
  const name = `layers.${index}`;
  const part = (tensor: string, out: number): { tensor: string; out: number } => ({ tensor: `${at}.${tensor}`, out });
  const qkv = ["query", "key", "value"].map((which) => part(which, width));
  return [
    ...linearWeights({ name: `${name}.qkv`, parts: qkv, inputs: width, bias: false }),
    ...linearWeights({ name: `${name}.proj`, parts: [part("proj", width)], inputs: width, bias: true }),
    ...normWeights(`${name}.norm1`, `${at}.ln1`, width),
    ...linearWeights({ name: `${name}.up`, parts: [part("fc1", ffnWidth)], inputs: width, bias: true }),
    ...linearWeights({ name: `${name}.down`, parts: [part("fc2", width)], inputs: ffnWidth, bias: true }),
    ...normWeights(`${name}.norm2`, `${at}.ln2`, width),
  ];
}

/** Samples to cepstral coefficients: [frames, coefficients]. */
function features(b: GraphBuilder, weights: WeightLookup, frontEnd: FrontEnd): Value {
  const { hop, frames } = frontEnd;
  const apply = (operation: ElementwiseOperation, a: Value, second?: Value): Value =>
    b.op(elementwise, { a, b: second }, { operation }).y as Value;
  const project = (x: Value, name: string): Value =>
    b.op(matmul, { x, w: weights.value(b, `frontend.${name}`) }, {}).y as Value;
  const hops = b.input("audio", [runtimeDim("sequences", frames + HOPS_PER_FRAME - 1), hop]);
  const index = b.input("frames.index", [runtimeDim("frames", HOPS_PER_FRAME)], "u32");
  const cut = b.reshape(b.op(gatherRows, { x: hops, rows: index }, {}).y as Value, [
    FEATURE_ROWS,
    hop * HOPS_PER_FRAME,
  ]);
  const windowed = apply("mul", cut, weights.value(b, "frontend.window"));
  const magnitude = apply("hypot", project(windowed, "dft_a"), project(windowed, "dft_b"));
  const floored = apply("max", project(magnitude, "mel"), weights.value(b, "frontend.log_floor"));
  const cepstrum = project(apply("log", floored), "dct");
  const centred = apply("sub", cepstrum, weights.value(b, "frontend.norm_sub"));
  return b.name("features", apply("mul", centred, weights.value(b, "frontend.norm_mul")));
}

/** Fills the tables of the class tokens, and where the graph begins with samples that of the hops of every frame. */
function feed(lengths: BatchLengths, tables: ReadonlyMap<string, Uint32Array>, frames: number): HostFeed {
  const { inputs, sizes } = classTokenFeed(lengths);
  if (lengths.source !== "audio") return { inputs, sizes };
  const clips = lengths.rows.length;
  const hops = tables.get("frontend.frame_gather_index") as Uint32Array;
  const perClip = frames + HOPS_PER_FRAME - 1;
  const cuts = new Uint32Array(clips * hops.length);
  for (let clip = 0; clip < clips; clip += 1) {
    for (let i = 0; i < hops.length; i += 1) cuts[clip * hops.length + i] = clip * perClip + (hops[i] as number);
  }
  return { inputs: { ...inputs, "frames.index": cuts }, sizes };
}

/** Builds the host of a KWT configuration. */
export function kwt({ config }: HostSource, half: boolean): Host {
  const frontEnd: FrontEnd = {
    hop: positive(config, "hop_length", 160),
    frames: positive(config, "num_frames", 98),
    bins: positive(config, "num_dft_bins", 244),
    mels: positive(config, "num_mel_bins", 80),
    coefficients: positive(config, "num_mfcc", 40),
  };
  const shape = kwtShape(config, frontEnd);
  const { width } = shape;
  const eps = positiveNumber(config, "layer_norm_eps", 1e-6);
  const patch = [{ tensor: "patch_embed", out: width }];
  const head = firstTokenClassifier(shape, positive(config, "num_labels", 12), "head");
  const specs = [
    ...frontEndWeights(frontEnd),
    ...linearWeights({ name: "embeddings.patch", parts: patch, inputs: frontEnd.coefficients, bias: true }),
    plainWeight("embeddings.class", "class_emb", [1, 1, width], "vector"),
    plainWeight("embeddings.position", "pos_emb", [1, shape.maxTokens, width], "vector"),
    ...Array.from({ length: shape.layers }, (_, index) => layerWeights(index, shape)).flat(),
    ...head.weights,
  ];
  const weights = new WeightLookup(specs, half);
  const settings = { shape, weights, activation: activationField(config, "hidden_act", "gelu_new"), eps };
  return {
    shape,
    weights: specs,
    ignored: [],
    embed: (b, source) => {
      const segments = segmentsInput(b);
      const given =
        source === "audio"
          ? features(b, weights, frontEnd)
          : b.input("features", [FEATURE_ROWS, frontEnd.coefficients]);
      return embedFeatures(b, weights, shape, { hidden: given, segments });
    },
    ...transformerLayers(settings),
    finish: (_, x) => x,
    head: head.bind(weights),
    tables: [{ tensor: "frontend.frame_gather_index", shape: [frontEnd.frames, HOPS_PER_FRAME] }],
    feed: (lengths, tables) => feed(lengths, tables, frontEnd.frames),
  };
}
