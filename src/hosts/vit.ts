/**
 * @file ViT (Dosovitskiy et al. 2021) over patches of images: the pre-LN encoder with a class token of Hugging Face (MATHS §3.3), and a
 * plain post-LN encoder whose head reads the mean over the patches.
 */

import { pool } from "../ops/pool.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { prefixOf } from "./config.ts";
import { FEATURE_ROWS, classTokenFeed, embedFeatures } from "./embed-features.ts";
import { firstTokenClassifier, poolFirst } from "./heads.ts";
import type { HeadPlan } from "./heads.ts";
import type { Host, HostSource, IgnoredTensors, Stream, WeightSpec } from "./host.ts";
import { ROWS, segmentsInput, symbolOf } from "./symbols.ts";
import { transformerLayers } from "./transformer-layer.ts";
import { readVitConfig } from "./vit-config.ts";
import type { VitSettings } from "./vit-config.ts";
import { WeightLookup, linearWeights, normWeights, plainWeight } from "./weights.ts";

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

/** The patches of all images and the table of the images, as a run gives them. */
function patches(b: GraphBuilder, { classToken, featureWidth }: VitSettings["image"]): Stream {
  const segments = segmentsInput(b);
  return { hidden: b.input("features", [classToken ? FEATURE_ROWS : ROWS, featureWidth]), segments };
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
  return {
    shape,
    weights: specs,
    ignored,
    embed: (b) => embedFeatures(b, weights, shape, patches(b, image)),
    ...transformerLayers({ shape, weights, activation, eps }),
    finish: (b, x) => weights.norm(b, x, "final.norm", eps),
    head: head === null ? null : head.bind(weights),
    ...(pooler ? { pooler: poolFirst(weights) } : {}),
    ...(image.classToken ? { feed: classTokenFeed } : {}),
  };
}
