/** @file DistilBERT (Sanh et al. 2019): BERT's layers without token types and without a pooler; names of MATHS §3.3. */

import type { Value } from "../graph/value.ts";
import { activation } from "../ops/activation.ts";
import { pool } from "../ops/pool.ts";
import { bertBuffers, idsInput } from "./bert.ts";
import { activationField, hasArchitecture, headWidthOf, positive, prefixOf } from "./config.ts";
import type { Config } from "./config.ts";
import { embedIds } from "./embed-ids.ts";
import { firstTokenClassifier, maskedLanguageHead, tokenClassifier } from "./heads.ts";
import type { HeadPlan } from "./heads.ts";
import type { Host, HostHead, HostShape, HostSource, WeightSpec } from "./host.ts";
import { symbolOf } from "./symbols.ts";
import { transformerLayers } from "./transformer-layer.ts";
import { WeightLookup, linearWeights, normWeights, plainWeight } from "./weights.ts";

/** Fixed in the model's code; config.json does not hold it. */
const EPS = 1e-12;

function distilbertShape(config: Config): HostShape {
  const width = positive(config, "dim", 768);
  const heads = positive(config, "n_heads", 12);
  return {
    family: "distilbert",
    width,
    layers: positive(config, "n_layers", 6),
    heads,
    headWidth: headWidthOf(width, heads),
    ffnWidth: positive(config, "hidden_dim", 3072),
    normPosition: "post",
    causal: false,
    maxTokens: positive(config, "max_position_embeddings", 512),
    input: { kind: "ids", vocabulary: positive(config, "vocab_size", 30522), types: 1 },
  };
}

function embeddingWeights(prefix: string, shape: HostShape): WeightSpec[] {
  const { vocabulary } = idsInput(shape);
  const at = `${prefix}embeddings`;
  return [
    plainWeight("embeddings.word", `${at}.word_embeddings.weight`, [vocabulary, shape.width], "table"),
    plainWeight("embeddings.position", `${at}.position_embeddings.weight`, [shape.maxTokens, shape.width], "vector"),
    ...normWeights("embeddings.norm", `${at}.LayerNorm`, shape.width),
  ];
}

function layerWeights(prefix: string, index: number, shape: HostShape): WeightSpec[] {
  const at = `${prefix}transformer.layer.${index}`;
  const name = `layers.${index}`;
  const { width, ffnWidth } = shape;
  const linear = (weight: string, tensors: readonly string[], inputs: number, out: number): WeightSpec[] => {
    const parts = tensors.map((tensor) => ({ tensor: `${at}.${tensor}`, out }));
    return linearWeights({ name: `${name}.${weight}`, parts, inputs, bias: true });
  };
  return [
    ...linear("qkv", ["attention.q_lin", "attention.k_lin", "attention.v_lin"], width, width),
    ...linear("proj", ["attention.out_lin"], width, width),
    ...normWeights(`${name}.norm1`, `${at}.sa_layer_norm`, width),
    ...linear("up", ["ffn.lin1"], width, ffnWidth),
    ...linear("down", ["ffn.lin2"], ffnWidth, width),
    ...normWeights(`${name}.norm2`, `${at}.output_layer_norm`, width),
  ];
}

/** logits = W·relu(pre_classifier(h of the first token)) + c: [sequences, labels]. */
function preClassifier(config: Config, shape: HostShape): HeadPlan {
  const { width } = shape;
  const named = Object.keys(config.id2label ?? {}).length;
  const labels = positive(config, "num_labels", named === 0 ? 2 : named);
  const parts = [{ tensor: "pre_classifier", out: width }];
  const dense = linearWeights({ name: "head.dense", parts, inputs: width, bias: true });
  const last = firstTokenClassifier(shape, labels, "classifier");
  const bind = (lookup: WeightLookup): HostHead => ({
    rows: "sequence",
    labels,
    build: (b, { hidden, segments }, sequences, leave) => {
      const first = b.op(pool, { x: hidden, segments }, { mode: "first", count: symbolOf(sequences) }).y as Value;
      const x = b.op(activation, { x: lookup.linear(b, first, "head.dense") }, { kind: "relu" }).y as Value;
      return lookup.linear(b, leave(x, "pooled"), "head.classifier");
    },
  });
  return { weights: [...dense, ...last.weights], bind };
}

/** Builds the host of a DistilBERT configuration. */
export function distilbert(source: HostSource, half: boolean): Host {
  const { config, tensors } = source;
  const shape = distilbertShape(config);
  const prefix = prefixOf(tensors, "distilbert");
  const head = chooseHead(source, shape);
  const specs = [
    ...embeddingWeights(prefix, shape),
    ...Array.from({ length: shape.layers }, (_, index) => layerWeights(prefix, index, shape)).flat(),
    ...(head?.weights ?? []),
  ];
  const weights = new WeightLookup(specs, half);
  const settings = { shape, weights, activation: activationField(config, "activation", "gelu"), eps: EPS };
  return {
    shape,
    weights: specs,
    ignored: [
      bertBuffers,
      { pattern: /^vocab_projector\.weight$/, reason: "tied copy" },
      { pattern: /^(vocab_\w+|pre_classifier|classifier|qa_outputs)\./, reason: "head of another task" },
    ],
    embed: (b, _, site) => embedIds(b, weights, EPS, site),
    ...transformerLayers(settings),
    finish: (_, x) => x,
    head: head === null ? null : head.bind(weights),
  };
}

function chooseHead({ config, tensors }: HostSource, shape: HostShape): HeadPlan | null {
  if (hasArchitecture(config, "ForTokenClassification")) return tokenClassifier(config, shape, "classifier");
  if (tensors.has("pre_classifier.weight") && tensors.has("classifier.weight")) return preClassifier(config, shape);
  if (!tensors.has("vocab_transform.weight")) return null;
  return maskedLanguageHead({
    dense: "vocab_transform",
    norm: "vocab_layer_norm",
    bias: "vocab_projector.bias",
    activation: activationField(config, "activation", "gelu"),
    inputs: shape.width,
    width: shape.width,
    vocabulary: idsInput(shape).vocabulary,
    eps: EPS,
  });
}
