/** @file GPT-2 (Radford et al. 2019): pre-LN causal decoder with Conv1D weights; names of MATHS §3.3. */

import type { Value } from "../graph/value.ts";
import { matmul } from "../ops/matmul.ts";
import { embedSum } from "./embed-ids.ts";
import { activationField, hasArchitecture, headWidthOf, only, positive, positiveNumber, prefixOf } from "./config.ts";
import type { Config } from "./config.ts";
import type { HeadPlan } from "./heads.ts";
import type { Host, HostHead, HostShape, HostSource, WeightSpec } from "./host.ts";
import { transformerLayers } from "./transformer-layer.ts";
import { WeightLookup, linearWeights, normWeights, plainWeight } from "./weights.ts";

function gpt2Shape(config: Config): HostShape {
  only(config, "scale_attn_weights", true);
  only(config, "scale_attn_by_inverse_layer_idx", false);
  only(config, "add_cross_attention", false);
  const width = positive(config, "n_embd");
  const heads = positive(config, "n_head");
  return {
    family: "gpt2",
    width,
    layers: positive(config, "n_layer"),
    heads,
    headWidth: headWidthOf(width, heads),
    ffnWidth: config.n_inner === null || config.n_inner === undefined ? 4 * width : positive(config, "n_inner"),
    normPosition: "pre",
    causal: true,
    maxTokens: positive(config, "n_positions"),
    input: { kind: "ids", vocabulary: positive(config, "vocab_size"), types: 1 },
  };
}

function layerWeights(prefix: string, index: number, shape: HostShape): WeightSpec[] {
  const at = `${prefix}h.${index}`;
  const name = `layers.${index}`;
  const { width, ffnWidth } = shape;
  const conv = (weight: string, tensor: string, inputs: number, out: number): WeightSpec[] =>
    linearWeights({
      name: `${name}.${weight}`,
      parts: [{ tensor: `${at}.${tensor}`, out }],
      inputs,
      bias: true,
      transposed: true,
    });
  return [
    ...normWeights(`${name}.norm1`, `${at}.ln_1`, width),
    ...conv("qkv", "attn.c_attn", width, 3 * width),
    ...conv("proj", "attn.c_proj", width, width),
    ...normWeights(`${name}.norm2`, `${at}.ln_2`, width),
    ...conv("up", "mlp.c_fc", width, ffnWidth),
    ...conv("down", "mlp.c_proj", ffnWidth, width),
  ];
}

/** The language model head: its own matrix where the checkpoint has one, else the word embeddings. */
function languageHead({ config, tensors }: HostSource, shape: HostShape, vocabulary: number): HeadPlan | null {
  const own = tensors.has("lm_head.weight");
  if (!own && !hasArchitecture(config, "LMHeadModel")) return null;
  const weights = own ? [plainWeight("head.weight", "lm_head.weight", [vocabulary, shape.width], "table")] : [];
  const bind = (lookup: WeightLookup): HostHead => ({
    rows: "token",
    labels: vocabulary,
    build: (b, { hidden }) => {
      const w = lookup.value(b, own ? "head.weight" : "embeddings.word");
      return b.op(matmul, { x: hidden, w }, {}).y as Value;
    },
  });
  return { weights, bind };
}

/** Builds the host of a GPT-2 configuration. */
export function gpt2(source: HostSource, half: boolean): Host {
  const { config, tensors } = source;
  const shape = gpt2Shape(config);
  const vocabulary = positive(config, "vocab_size");
  const eps = positiveNumber(config, "layer_norm_epsilon", 1e-5);
  const activation = activationField(config, "activation_function", "gelu_new");
  const prefix = prefixOf(tensors, "transformer");
  const head = languageHead(source, shape, vocabulary);
  const specs = [
    plainWeight("embeddings.word", `${prefix}wte.weight`, [vocabulary, shape.width], "table"),
    plainWeight("embeddings.position", `${prefix}wpe.weight`, [shape.maxTokens, shape.width], "vector"),
    ...Array.from({ length: shape.layers }, (_, index) => layerWeights(prefix, index, shape)).flat(),
    ...normWeights("final.norm", `${prefix}ln_f`, shape.width),
    ...(head?.weights ?? []),
  ];
  const weights = new WeightLookup(specs, half);
  const settings = { shape, weights, activation, eps };
  return {
    shape,
    weights: specs,
    ignored: [
      { pattern: /(^|\.)attn\.(bias|masked_bias)$/, reason: "buffer" },
      { pattern: /^(score|classifier|multiple_choice_head)\./, reason: "head of another task" },
    ],
    embed: (b, _, site) => embedSum(b, weights, 0, site),
    ...transformerLayers(settings),
    finish: (b, x) => weights.norm(b, x, "final.norm", eps),
    head: head === null ? null : head.bind(weights),
  };
}
