/** @file T5 (Raffel et al. 2020), its encoder: pre-norm without biases, relative position bias, often gated; names of MATHS §3.3. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import type { ActivationName } from "../ops/activation.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { activationField, checkHeadWidth, only, positive, positiveNumber, prefixOf } from "./config.ts";
import type { Config } from "./config.ts";
import { embedWords } from "./embed-ids.ts";
import type { Host, HostShape, HostSource, WeightSpec } from "./host.ts";
import { bucketTable, distanceBuckets } from "./relative-bias.ts";
import { transformerLayers } from "./transformer-layer.ts";
import { WeightLookup, linearWeights, normWeights, plainWeight } from "./weights.ts";

/** There is no position table that could end; this bounds what a batch is checked for. */
const MOST_TOKENS = 2 ** 20;

/** Run-time input: the bucket of every distance that has one of its own. */
const BUCKETS = "bias.buckets";

function feedForward(config: Config): { readonly gated: boolean; readonly activation: ActivationName } {
  const field = "feed_forward_proj";
  const text = config[field] ?? "relu";
  const gated = typeof text === "string" && text.startsWith("gated-");
  const name = gated ? text.slice("gated-".length) : text;
  // The published gated checkpoints say "gelu" and were trained with its tanh form.
  const meant = gated && name === "gelu" ? "gelu_new" : name;
  return { gated, activation: activationField({ [field]: meant }, field) };
}

function t5Shape(config: Config): HostShape {
  only(config, "is_decoder", false);
  const headWidth = positive(config, "d_kv", 64);
  checkHeadWidth(headWidth, String(headWidth), "d_kv");
  return {
    family: "t5",
    width: positive(config, "d_model"),
    layers: positive(config, "num_layers"),
    heads: positive(config, "num_heads"),
    headWidth,
    ffnWidth: positive(config, "d_ff"),
    ...(feedForward(config).gated ? { gated: true } : {}),
    normPosition: "pre",
    causal: false,
    maxTokens: MOST_TOKENS,
    input: { kind: "ids", vocabulary: positive(config, "vocab_size"), types: 1 },
  };
}

function layerWeights(
  prefix: string,
  index: number,
  { width, heads, headWidth, ffnWidth, gated }: HostShape,
): WeightSpec[] {
  const at = `${prefix}encoder.block.${index}.layer`;
  const name = `layers.${index}`;
  const inner = heads * headWidth;
  const linear = (weight: string, inputs: number, out: number, ...tensors: readonly string[]): WeightSpec[] => {
    const parts = tensors.map((tensor) => ({ tensor: `${at}.${tensor}`, out }));
    return linearWeights({ name: `${name}.${weight}`, parts, inputs, bias: false });
  };
  const qkv = ["q", "k", "v"].map((which) => `0.SelfAttention.${which}`);
  const dense = "1.DenseReluDense";
  const up = gated === true ? `${dense}.wi_1` : `${dense}.wi`;
  return [
    ...normWeights(`${name}.norm1`, `${at}.0.layer_norm`, width, "rms"),
    ...linear("qkv", width, inner, ...qkv),
    ...linear("proj", inner, width, "0.SelfAttention.o"),
    ...normWeights(`${name}.norm2`, `${at}.1.layer_norm`, width, "rms"),
    ...(gated === true ? linear("gate", width, ffnWidth, `${dense}.wi_0`) : []),
    ...linear("up", width, ffnWidth, up),
    ...linear("down", ffnWidth, width, `${dense}.wo`),
  ];
}

/** The word embeddings: shared with the decoder where there is one. */
function wordTensor(tensors: ReadonlySet<string>, prefix: string): string {
  const [shared, own] = [`${prefix}shared.weight`, `${prefix}encoder.embed_tokens.weight`];
  return tensors.has(own) && !tensors.has(shared) ? own : shared;
}

/** Builds the host of a T5 configuration: the encoder, also of a checkpoint that has a decoder. */
export function t5({ config, tensors }: HostSource, half: boolean): Host {
  const shape = t5Shape(config);
  const { vocabulary } = shape.input as Extract<HostShape["input"], { kind: "ids" }>;
  const eps = positiveNumber(config, "layer_norm_epsilon", 1e-6);
  const buckets = distanceBuckets(config);
  const table = bucketTable(buckets);
  const prefix = prefixOf(tensors, "transformer");
  const bias = `${prefix}encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
  const specs = [
    plainWeight("embeddings.word", wordTensor(tensors, prefix), [vocabulary, shape.width], "table"),
    // A vector, for it stays in f32: it is added to scores.
    plainWeight("bias.table", bias, [buckets.count, shape.heads], "vector"),
    ...Array.from({ length: shape.layers }, (_, index) => layerWeights(prefix, index, shape)).flat(),
    ...normWeights("final.norm", `${prefix}encoder.final_layer_norm`, shape.width, "rms"),
  ];
  const weights = new WeightLookup(specs, half);
  const relativeBias = (b: GraphBuilder): Value =>
    b.op(gatherRows, { x: weights.value(b, "bias.table"), rows: b.input(BUCKETS, [table.length], "u32") }, {})
      .y as Value;
  const settings = { shape, weights, activation: feedForward(config).activation, eps, scale: 1, relativeBias };
  return {
    shape,
    weights: specs,
    ignored: [
      { pattern: /^(transformer\.)?encoder\.embed_tokens\.weight$/, reason: "tied copy" },
      { pattern: /^(transformer\.)?(decoder\.|lm_head\.)/, reason: "decoder: this engine runs the encoder" },
      { pattern: /^(classifier|classification_head|qa_outputs)\./, reason: "head of another task" },
    ],
    embed: (b, _, site) => embedWords(b, weights, site),
    ...transformerLayers(settings),
    finish: (b, x) => weights.norm(b, x, "final.norm", eps),
    head: null,
    feed: () => ({ inputs: { [BUCKETS]: table }, sizes: {} }),
  };
}
