/**
 * @file ViT (Dosovitskiy et al. 2021) over patches of images: the pre-LN encoder with a class token of Hugging Face (MATHS §3.3), and a
 * plain post-LN encoder whose head reads the mean over the patches.
 */

import { pool } from "../ops/pool.ts";
import { embedding } from "../ops/embedding.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { runtimeDim } from "../ops/op.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { prefixOf } from "./config.ts";
import { firstTokenClassifier, poolFirst } from "./heads.ts";
import type { HeadPlan } from "./heads.ts";
import type { BatchLengths, Host, HostFeed, HostSource, IgnoredTensors, Stream, WeightSpec } from "./host.ts";
import { ROWS, segmentsInput, symbolOf } from "./symbols.ts";
import { postNormLayer, preNormLayer, transformerMap } from "./transformer-layer.ts";
import { readVitConfig } from "./vit-config.ts";
import type { VitSettings } from "./vit-config.ts";
import { WeightLookup, linearWeights, normWeights, plainWeight } from "./weights.ts";

/** Rows of features, where a class token makes the hidden rows more than that. */
const PATCHES = runtimeDim("frames");
/** The index that `gather-rows` answers with its fill row: here the class token. */
const FILL = 0xffffffff;

/** The weights of the patch projection and of the rows that are added: a convolution lies in memory as the matrix that it is. */
function embeddingWeights({ layout, shape, image }: VitSettings, prefix: string): WeightSpec[] {
  const { width, maxTokens } = shape;
  const { channels, patch, featureWidth } = image;
  const plain = layout === "plain";
  const projection = plain ? "patch_embed.proj" : `${prefix}embeddings.patch_embeddings.projection`;
  const stored = plain ? [width, featureWidth] : [width, channels, ...patch];
  const position = plain ? "pos_embed" : `${prefix}embeddings.position_embeddings`;
  return [
    {
      name: "embeddings.patch.weight",
      shape: [width, featureWidth],
      kind: "matrix",
      parts: [{ tensor: `${projection}.weight`, shape: stored }],
    },
    plainWeight("embeddings.patch.bias", `${projection}.bias`, [width], "vector"),
    plainWeight("embeddings.position", position, [1, maxTokens, width], "vector"),
    ...(plain ? [] : [plainWeight("embeddings.class", `${prefix}embeddings.cls_token`, [1, 1, width], "vector")]),
  ];
}

/** A layer under the names of Hugging Face. */
function layerWeights({ shape, qkvBias }: VitSettings, prefix: string, index: number): WeightSpec[] {
  const at = `${prefix}encoder.layer.${index}`;
  const name = `layers.${index}`;
  const { width, ffnWidth } = shape;
  const part = (tensor: string, out: number): { tensor: string; out: number } => ({ tensor: `${at}.${tensor}`, out });
  const qkv = ["query", "key", "value"].map((which) => part(`attention.attention.${which}`, width));
  const proj = [part("attention.output.dense", width)];
  return [
    ...normWeights(`${name}.norm1`, `${at}.layernorm_before`, width),
    ...linearWeights({ name: `${name}.qkv`, parts: qkv, inputs: width, bias: qkvBias }),
    ...linearWeights({ name: `${name}.proj`, parts: proj, inputs: width, bias: true }),
    ...normWeights(`${name}.norm2`, `${at}.layernorm_after`, width),
    ...linearWeights({ name: `${name}.up`, parts: [part("intermediate.dense", ffnWidth)], inputs: width, bias: true }),
    ...linearWeights({ name: `${name}.down`, parts: [part("output.dense", width)], inputs: ffnWidth, bias: true }),
  ];
}

/** A layer of the plain layout; its packed matrix has no dot before `weight`. */
function plainLayerWeights({ shape, qkvBias }: VitSettings, index: number): WeightSpec[] {
  const at = `encoder.${index}`;
  const name = `layers.${index}`;
  const { width, ffnWidth } = shape;
  const linear = (weight: string, tensor: string, inputs: number, out: number): WeightSpec[] =>
    linearWeights({ name: `${name}.${weight}`, parts: [{ tensor: `${at}.${tensor}`, out }], inputs, bias: true });
  return [
    plainWeight(`${name}.qkv.weight`, `${at}.attn.in_proj_weight`, [3 * width, width], "matrix"),
    ...(qkvBias ? [plainWeight(`${name}.qkv.bias`, `${at}.attn.in_proj_bias`, [3 * width], "vector")] : []),
    ...linear("proj", "attn.out_proj", width, width),
    ...normWeights(`${name}.norm1`, `${at}.norm1`, width),
    ...linear("up", "ffn.fc1", width, ffnWidth),
    ...linear("down", "ffn.fc2", ffnWidth, width),
    ...normWeights(`${name}.norm2`, `${at}.norm2`, width),
  ];
}

/** logits = W·(mean of h over the patches) + c: [sequences, labels]. */
function meanClassifier({ shape, labels }: VitSettings): HeadPlan {
  const parts = [{ tensor: "classifier", out: labels }];
  return {
    weights: linearWeights({ name: "head.classifier", parts, inputs: shape.width, bias: true }),
    bind: (lookup) => ({
      rows: "sequence",
      labels,
      build: (b, { hidden, segments }, sequences) => {
        const mean = b.op(pool, { x: hidden, segments }, { mode: "mean", count: symbolOf(sequences) }).y as Value;
        return lookup.linear(b, mean, "head.classifier");
      },
    }),
  };
}

function chooseHead(settings: VitSettings): HeadPlan | null {
  const { labels, layout, shape } = settings;
  if (labels === 0) return null;
  return layout === "plain" ? meanClassifier(settings) : firstTokenClassifier(shape, labels, "classifier");
}

/** Patches projected, the class token before those of every image, positions added: [rows, d]. */
function embedPatches(b: GraphBuilder, weights: WeightLookup, { shape, image }: VitSettings): Stream {
  const { width, maxTokens } = shape;
  const segments = segmentsInput(b);
  const { classToken, featureWidth } = image;
  const features = b.input("features", [classToken ? PATCHES : ROWS, featureWidth]);
  let base = weights.linear(b, features, "embeddings.patch");
  if (classToken) {
    const fill = b.reshape(weights.value(b, "embeddings.class"), [width]);
    base = b.op(gatherRows, { x: base, rows: b.input("rows.index", [ROWS], "u32"), fill }, {}).y as Value;
  }
  const position = b.reshape(weights.value(b, "embeddings.position"), [maxTokens, width]);
  return { hidden: b.op(embedding, { base, position, segments }, { positionOffset: 0 }).y as Value, segments };
}

/** The patch of every hidden row; the first row of an image is the class token. */
function feed({ rows }: BatchLengths): HostFeed {
  const total = rows.reduce((sum, count) => sum + count, 0);
  const index = new Uint32Array(total);
  let row = 0;
  let patch = 0;
  for (const count of rows) {
    index[row++] = FILL;
    for (let i = 1; i < count; i += 1) index[row++] = patch++;
  }
  return { inputs: { "rows.index": index }, sizes: { frames: patch } };
}

/** Tensors of pre-training tasks. */
const ignored: readonly IgnoredTensors[] = [
  { pattern: /^((vit\.)?embeddings\.mask_token$|decoder\.)/, reason: "head of another task" },
];

/** Builds the host of a ViT configuration. */
export function vit(source: HostSource, half: boolean): Host {
  const settings = readVitConfig(source);
  const { shape, layout, image, activation, eps } = settings;
  const plain = layout === "plain";
  const prefix = plain ? "" : prefixOf(source.tensors, "vit");
  const head = chooseHead(settings);
  const pooler = !plain && source.tensors.has(`${prefix}pooler.dense.weight`);
  const poolerParts = [{ tensor: `${prefix}pooler.dense`, out: shape.width }];
  const specs = [
    ...embeddingWeights(settings, prefix),
    ...Array.from({ length: shape.layers }, (_, index) =>
      plain ? plainLayerWeights(settings, index) : layerWeights(settings, prefix, index),
    ).flat(),
    ...normWeights("final.norm", plain ? "norm" : `${prefix}layernorm`, shape.width),
    ...(pooler ? linearWeights({ name: "head.pooler", parts: poolerParts, inputs: shape.width, bias: true }) : []),
    ...(head?.weights ?? []),
  ];
  const weights = new WeightLookup(specs, half);
  const layerSettings = { shape, weights, activation, eps };
  const prefixOfLayer = (index: number): string => `layers.${index}`;
  const build = plain ? postNormLayer : preNormLayer;
  return {
    shape,
    weights: specs,
    ignored,
    embed: (b) => embedPatches(b, weights, settings),
    layer: (b, index, stream, sites) =>
      build(b, stream, { settings: layerSettings, sites, prefix: prefixOfLayer(index) }),
    map: (index, map) => {
      const at = transformerMap(shape, prefixOfLayer(index), map);
      return at.bias !== null && weights.has(at.bias) ? at : { ...at, bias: null };
    },
    finish: (b, x) => weights.norm(b, x, "final.norm", eps),
    head: head === null ? null : head.bind(weights),
    ...(pooler ? { pooler: poolFirst(weights) } : {}),
    ...(image.classToken ? { feed } : {}),
  };
}
