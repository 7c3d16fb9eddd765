/** @file ALBERT (Lan et al. 2020): BERT whose layers share weights, with factorised embeddings. */

import { bertBuffers, bertShape, embeddingWeights, idsInput } from "./bert.ts";
import { activationField, only, positive, positiveNumber, prefixOf } from "./config.ts";
import { embedIds } from "./embed-ids.ts";
import { maskedLanguageHead, pooledClassifier } from "./heads.ts";
import type { HeadPlan } from "./heads.ts";
import type { Host, HostShape, HostSource, WeightSpec } from "./host.ts";
import { transformerLayers } from "./transformer-layer.ts";
import { WeightLookup, linearWeights, normWeights } from "./weights.ts";

function groupWeights(prefix: string, group: number, shape: HostShape): WeightSpec[] {
  const at = `${prefix}encoder.albert_layer_groups.${group}.albert_layers.0`;
  const name = `groups.${group}`;
  const { width, ffnWidth } = shape;
  const part = (tensor: string, out: number): { tensor: string; out: number } => ({ tensor: `${at}.${tensor}`, out });
  const qkv = ["query", "key", "value"].map((which) => part(`attention.${which}`, width));
  return [
    ...linearWeights({ name: `${name}.qkv`, parts: qkv, inputs: width, bias: true }),
    ...linearWeights({ name: `${name}.proj`, parts: [part("attention.dense", width)], inputs: width, bias: true }),
    ...normWeights(`${name}.norm1`, `${at}.attention.LayerNorm`, width),
    ...linearWeights({ name: `${name}.up`, parts: [part("ffn", ffnWidth)], inputs: width, bias: true }),
    ...linearWeights({ name: `${name}.down`, parts: [part("ffn_output", width)], inputs: ffnWidth, bias: true }),
    ...normWeights(`${name}.norm2`, `${at}.full_layer_layer_norm`, width),
  ];
}

/** Builds the host of an ALBERT configuration. Weights of a group are resident once, whatever the number of layers. */
export function albert(source: HostSource, half: boolean): Host {
  const { config, tensors } = source;
  only(config, "inner_group_num", 1);
  const shape = bertShape(config, "albert");
  const embeddingWidth = positive(config, "embedding_size", 128);
  const groups = positive(config, "num_hidden_groups", 1);
  const eps = positiveNumber(config, "layer_norm_eps", 1e-12);
  const activation = activationField(config, "hidden_act", "gelu_new");
  const prefix = prefixOf(tensors, "albert");
  const head = chooseHead(source, shape, prefix, embeddingWidth, eps);
  const mapping = { tensor: `${prefix}encoder.embedding_hidden_mapping_in`, out: shape.width };
  const specs = [
    ...embeddingWeights(prefix, shape, embeddingWidth),
    ...linearWeights({ name: "embeddings.mapping", parts: [mapping], inputs: embeddingWidth, bias: true }),
    ...Array.from({ length: groups }, (_, group) => groupWeights(prefix, group, shape)).flat(),
    ...(head?.weights ?? []),
  ];
  const weights = new WeightLookup(specs, half);
  const settings = { shape, weights, activation, eps };
  const layersPerGroup = shape.layers / groups;
  const prefixOfLayer = (index: number): string => `groups.${Math.floor(index / layersPerGroup)}`;
  return {
    shape,
    weights: specs,
    ignored: [
      bertBuffers,
      { pattern: /^predictions\.decoder\.(weight|bias)$/, reason: "tied copy" },
      {
        pattern: /^(predictions\.|sop_classifier\.|classifier\.|qa_outputs\.|(albert\.)?pooler\.)/,
        reason: "head of another task",
      },
    ],
    embed: (b, _, site) => {
      const { hidden, segments } = embedIds(b, weights, eps, site);
      return { hidden: weights.linear(b, hidden, "embeddings.mapping"), segments };
    },
    ...transformerLayers(settings, prefixOfLayer),
    finish: (_, x) => x,
    head: head === null ? null : head.bind(weights),
  };
}

function chooseHead(
  { config, tensors }: HostSource,
  shape: HostShape,
  prefix: string,
  width: number,
  eps: number,
): HeadPlan | null {
  if (tensors.has("classifier.weight"))
    return pooledClassifier(config, shape, { pooler: `${prefix}pooler`, classifier: "classifier" });
  if (!tensors.has("predictions.dense.weight")) return null;
  return maskedLanguageHead({
    dense: "predictions.dense",
    norm: "predictions.LayerNorm",
    bias: "predictions.bias",
    activation: activationField(config, "hidden_act", "gelu_new"),
    inputs: shape.width,
    width,
    vocabulary: idsInput(shape).vocabulary,
    eps,
  });
}
