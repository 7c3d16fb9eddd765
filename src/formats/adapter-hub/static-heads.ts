/** @file The flexible head that computes the same as the head of a plain Hugging Face class (MATHS §3.1, §3.3). */

import type { JsonObject } from "../json.ts";

/** A flexible head's configuration, and the modules of the plain class that are its linear layers, in order. */
export interface StaticHead {
  readonly config: Readonly<JsonObject>;
  readonly modules: readonly string[];
}

const sequence = { head_type: "classification", bias: true, dropout_prob: null };

/** On the pooled first token. */
const pooled: StaticHead = {
  config: { ...sequence, layers: 1, activation_function: null, use_pooler: true },
  modules: ["classifier"],
};

const tagging: StaticHead = {
  config: { head_type: "tagging", layers: 1, activation_function: null, bias: true, dropout_prob: null },
  modules: ["classifier"],
};

/** On the first token, or what stands for it, through a hidden layer. */
function twoLayers(activation: string, modules: readonly string[]): StaticHead {
  return { config: { ...sequence, layers: 2, activation_function: activation, use_pooler: false }, modules };
}

const heads: Readonly<Record<string, StaticHead>> = {
  BertForSequenceClassification: pooled,
  AlbertForSequenceClassification: pooled,
  RobertaForSequenceClassification: twoLayers("tanh", ["classifier.dense", "classifier.out_proj"]),
  XLMRobertaForSequenceClassification: twoLayers("tanh", ["classifier.dense", "classifier.out_proj"]),
  DistilBertForSequenceClassification: twoLayers("relu", ["pre_classifier", "classifier"]),
  T5ForSequenceClassification: twoLayers("tanh", ["classification_head.dense", "classification_head.out_proj"]),
  GPT2ForSequenceClassification: {
    config: { ...sequence, layers: 1, activation_function: null, use_pooler: false, bias: false },
    modules: ["score"],
  },
  ViTForImageClassification: {
    config: { ...sequence, head_type: "image_classification", layers: 1, activation_function: null, use_pooler: false },
    modules: ["classifier"],
  },
  BertForTokenClassification: tagging,
  AlbertForTokenClassification: tagging,
  RobertaForTokenClassification: tagging,
  XLMRobertaForTokenClassification: tagging,
  DistilBertForTokenClassification: tagging,
  GPT2ForTokenClassification: tagging,
};

/** The counterpart of a class's head, or undefined. */
export function staticHead(modelClass: string | null): StaticHead | undefined {
  return modelClass !== null && Object.hasOwn(heads, modelClass) ? heads[modelClass] : undefined;
}
