/** @file BERT (Devlin et al. 2019): post-LN encoder with learned positions; names of MATHS §3.3. */

import { EngineError } from "../errors.ts";
import { activationField, hasArchitecture, headWidthOf, only, positive, positiveNumber, prefixOf } from "./config.ts";
import type { Host, HostShape, HostSource, IgnoredTensors, WeightSpec } from "./host.ts";
import { embedIds } from "./embed-ids.ts";
import { maskedLanguageHead, poolFirst, pooledClassifier, tokenClassifier } from "./heads.ts";
import { transformerLayers } from "./transformer-layer.ts";
import { WeightLookup, linearWeights, normWeights, plainWeight } from "./weights.ts";

/** Reads the numbers that BERT and ALBERT share. */
export function bertShape(config: HostSource["config"], family: string): HostShape {
  only(config, "position_embedding_type", "absolute");
  only(config, "is_decoder", false);
  const width = positive(config, "hidden_size");
  const heads = positive(config, "num_attention_heads");
  return {
    family,
    width,
    layers: positive(config, "num_hidden_layers"),
    heads,
    headWidth: headWidthOf(width, heads),
    ffnWidth: positive(config, "intermediate_size"),
    normPosition: "post",
    causal: false,
    maxTokens: positive(config, "max_position_embeddings"),
    input: { kind: "ids", vocabulary: positive(config, "vocab_size"), types: positive(config, "type_vocab_size", 2) },
  };
}

/** The specs of the three embedding tables and their norm. */
export function embeddingWeights(prefix: string, shape: HostShape, width: number): WeightSpec[] {
  const { vocabulary, types } = idsInput(shape);
  const at = `${prefix}embeddings`;
  return [
    plainWeight("embeddings.word", `${at}.word_embeddings.weight`, [vocabulary, width], "table"),
    plainWeight("embeddings.position", `${at}.position_embeddings.weight`, [shape.maxTokens, width], "vector"),
    plainWeight("embeddings.type", `${at}.token_type_embeddings.weight`, [types, width], "vector"),
    ...normWeights("embeddings.norm", `${at}.LayerNorm`, width),
  ];
}

/** The vocabulary of a host that reads ids. */
export function idsInput(shape: HostShape): { vocabulary: number; types: number } {
  if (shape.input.kind === "ids") return shape.input;
  throw new EngineError("UNSUPPORTED", `${shape.family} does not read ids`);
}

/** Buffers that old checkpoints carry. */
export const bertBuffers: IgnoredTensors = {
  pattern: /(^|\.)embeddings\.(position_ids|token_type_ids)$/,
  reason: "buffer",
};

function layerWeights(prefix: string, index: number, shape: HostShape): WeightSpec[] {
  const at = `${prefix}encoder.layer.${index}`;
  const name = `layers.${index}`;
  const { width, ffnWidth } = shape;
  const part = (tensor: string, out: number): { tensor: string; out: number } => ({ tensor: `${at}.${tensor}`, out });
  const qkv = ["query", "key", "value"].map((which) => part(`attention.self.${which}`, width));
  return [
    ...linearWeights({ name: `${name}.qkv`, parts: qkv, inputs: width, bias: true }),
    ...linearWeights({
      name: `${name}.proj`,
      parts: [part("attention.output.dense", width)],
      inputs: width,
      bias: true,
    }),
    ...normWeights(`${name}.norm1`, `${at}.attention.output.LayerNorm`, width),
    ...linearWeights({ name: `${name}.up`, parts: [part("intermediate.dense", ffnWidth)], inputs: width, bias: true }),
    ...linearWeights({ name: `${name}.down`, parts: [part("output.dense", width)], inputs: ffnWidth, bias: true }),
    ...normWeights(`${name}.norm2`, `${at}.output.LayerNorm`, width),
  ];
}

/** Builds the host of a BERT configuration. */
export function bert(source: HostSource, half: boolean): Host {
  const { config, tensors } = source;
  const shape = bertShape(config, "bert");
  const eps = positiveNumber(config, "layer_norm_eps", 1e-12);
  const activation = activationField(config, "hidden_act", "gelu");
  const prefix = prefixOf(tensors, "bert");
  const head = chooseHead(source, shape, prefix, eps);
  const pooler = tensors.has(`${prefix}pooler.dense.weight`) && head?.weights.some(isPooler) !== true;
  const specs = [
    ...embeddingWeights(prefix, shape, shape.width),
    ...(pooler ? poolerWeights(prefix, shape) : []),
    ...Array.from({ length: shape.layers }, (_, index) => layerWeights(prefix, index, shape)).flat(),
    ...(head?.weights ?? []),
  ];
  const weights = new WeightLookup(specs, half);
  const settings = { shape, weights, activation, eps };
  return {
    shape,
    weights: specs,
    ignored: [
      bertBuffers,
      { pattern: /^cls\.predictions\.decoder\.(weight|bias)$/, reason: "tied copy" },
      { pattern: /^(cls\.|classifier\.|qa_outputs\.|(bert\.)?pooler\.)/, reason: "head of another task" },
    ],
    embed: (b, _, site) => embedIds(b, weights, eps, site),
    ...transformerLayers(settings),
    finish: (_, x) => x,
    head: head === null ? null : head.bind(weights),
    ...(weights.has("head.pooler.weight") ? { pooler: poolFirst(weights) } : {}),
  };
}

function isPooler({ name }: WeightSpec): boolean {
  return name === "head.pooler.weight";
}

/** The pooler of a checkpoint without a classifier of its own: added heads may ask for it. */
function poolerWeights(prefix: string, { width }: HostShape): WeightSpec[] {
  const parts = [{ tensor: `${prefix}pooler.dense`, out: width }];
  return linearWeights({ name: "head.pooler", parts, inputs: width, bias: true });
}

function chooseHead(
  source: HostSource,
  shape: HostShape,
  prefix: string,
  eps: number,
): ReturnType<typeof pooledClassifier> | null {
  const { config, tensors } = source;
  if (hasArchitecture(config, "ForTokenClassification")) return tokenClassifier(config, shape, "classifier");
  if (tensors.has("classifier.weight"))
    return pooledClassifier(config, shape, { pooler: `${prefix}pooler.dense`, classifier: "classifier" });
  if (!tensors.has("cls.predictions.transform.dense.weight")) return null;
  return maskedLanguageHead({
    dense: "cls.predictions.transform.dense",
    norm: "cls.predictions.transform.LayerNorm",
    bias: "cls.predictions.bias",
    activation: activationField(config, "hidden_act", "gelu"),
    inputs: shape.width,
    width: shape.width,
    vocabulary: idsInput(shape).vocabulary,
    eps,
  });
}
