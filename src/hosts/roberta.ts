/** @file RoBERTa (Liu et al. 2019): BERT's layers under another prefix, positions counted from behind the padding id, own heads. */

import { EngineError } from "../errors.ts";
import { bert, bertBuffers, bertShape, embeddingWeights, idsInput } from "./bert.ts";
import { activationField, hasArchitecture, positive, positiveNumber, prefixOf } from "./config.ts";
import type { Config } from "./config.ts";
import { embedSum } from "./embed-ids.ts";
import { maskedLanguageHead, pooledClassifier, tokenClassifier } from "./heads.ts";
import type { HeadPlan } from "./heads.ts";
import type { Host, HostShape, HostSource, WeightSpec } from "./host.ts";
import { transformerLayers } from "./transformer-layer.ts";
import { WeightLookup } from "./weights.ts";

/** Positions of real tokens start behind the one of padding: pad_token_id + 1 (MATHS §3.3). */
function firstPosition(config: Config): number {
  return 1 + (config.pad_token_id === 0 ? 0 : positive(config, "pad_token_id", 1));
}

/** The shape, in which `maxTokens` leaves out the rows of the position table that no token reaches. */
function robertaShape(config: Config): HostShape {
  const shape = bertShape(config, "roberta");
  const maxTokens = shape.maxTokens - firstPosition(config);
  if (maxTokens > 0) return { ...shape, maxTokens };
  const message = `config.json: ${shape.maxTokens} positions leave none behind the padding id ${firstPosition(config) - 1}`;
  throw new EngineError("BAD_CONFIG", message, { where: "max_position_embeddings" });
}

/** BERT's layers, whose tensors stand below this prefix. */
function layerWeights(config: Config, prefix: string, half: boolean): WeightSpec[] {
  const { weights } = bert({ config, tensors: new Set() }, half);
  const layers = weights.filter(({ name }) => name.startsWith("layers."));
  return layers.map((spec) => ({
    ...spec,
    parts: spec.parts.map((part) => ({ ...part, tensor: `${prefix}${part.tensor}` })),
  }));
}

/** Builds the host of a RoBERTa configuration. */
export function roberta(source: HostSource, half: boolean): Host {
  const { config, tensors } = source;
  const shape = robertaShape(config);
  const positions = { ...shape, maxTokens: shape.maxTokens + firstPosition(config) };
  const eps = positiveNumber(config, "layer_norm_eps", 1e-12);
  const prefix = prefixOf(tensors, "roberta");
  const head = chooseHead(source, shape, eps);
  const specs = [
    ...embeddingWeights(prefix, positions, shape.width),
    ...layerWeights(config, prefix, half),
    ...(head?.weights ?? []),
  ];
  const weights = new WeightLookup(specs, half);
  const settings = { shape, weights, activation: activationField(config, "hidden_act", "gelu"), eps };
  return {
    shape,
    weights: specs,
    ignored: [
      bertBuffers,
      { pattern: /^lm_head\.decoder\.(weight|bias)$/, reason: "tied copy" },
      { pattern: /^(lm_head\.|classifier\.|qa_outputs\.|(roberta\.)?pooler\.)/, reason: "head of another task" },
    ],
    embed: (b, _, site) => {
      const { hidden, segments } = embedSum(b, weights, firstPosition(config), site);
      return { hidden: weights.norm(b, hidden, "embeddings.norm", eps), segments };
    },
    ...transformerLayers(settings),
    finish: (_, x) => x,
    head: head === null ? null : head.bind(weights),
  };
}

function chooseHead({ config, tensors }: HostSource, shape: HostShape, eps: number): HeadPlan | null {
  if (hasArchitecture(config, "ForTokenClassification")) return tokenClassifier(config, shape, "classifier");
  // Token 0, dense, tanh, out_proj: what BERT spreads over pooler and classifier.
  if (tensors.has("classifier.dense.weight"))
    return pooledClassifier(config, shape, {
      pooler: "classifier.dense",
      classifier: "classifier.out_proj",
      leavesFirst: true,
    });
  if (!tensors.has("lm_head.dense.weight")) return null;
  return maskedLanguageHead({
    dense: "lm_head.dense",
    norm: "lm_head.layer_norm",
    bias: "lm_head.bias",
    activation: "gelu", // fixed, whatever hidden_act says
    inputs: shape.width,
    width: shape.width,
    vocabulary: idsInput(shape).vocabulary,
    eps,
  });
}
