/** @file The heads that come with checkpoints: masked language model, classifier of sequences, tagger of tokens. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { activation } from "../ops/activation.ts";
import type { ActivationName } from "../ops/activation.ts";
import { elementwise } from "../ops/elementwise.ts";
import { matmul } from "../ops/matmul.ts";
import { pool } from "../ops/pool.ts";
import { positive } from "./config.ts";
import type { Config } from "./config.ts";
import type { Host, HostHead, HostShape, LeaveOut, WeightSpec } from "./host.ts";
import { symbolOf } from "./symbols.ts";
import { linearWeights, normWeights, plainWeight } from "./weights.ts";
import type { WeightLookup } from "./weights.ts";

/** A head before the host's weights are known. */
export interface HeadPlan {
  readonly weights: readonly WeightSpec[];
  readonly bind: (weights: WeightLookup) => HostHead;
}

/** Names and numbers of a masked language model head whose decoder is tied to the word embeddings. */
export interface MaskedLanguageHead {
  readonly dense: string;
  readonly norm: string;
  readonly bias: string;
  readonly activation: ActivationName;
  readonly inputs: number;
  readonly width: number;
  readonly vocabulary: number;
  readonly eps: number;
}

function apply(b: GraphBuilder, x: Value, kind: ActivationName): Value {
  return b.op(activation, { x }, { kind }).y as Value;
}

/** logits = E·LN(act(dense(h))) + bias with E the word embeddings: [rows, vocabulary]. */
export function maskedLanguageHead(plan: MaskedLanguageHead): HeadPlan {
  const weights = [
    ...linearWeights({
      name: "head.dense",
      parts: [{ tensor: plan.dense, out: plan.width }],
      inputs: plan.inputs,
      bias: true,
    }),
    ...normWeights("head.norm", plan.norm, plan.width),
    plainWeight("head.bias", plan.bias, [plan.vocabulary], "vector"),
  ];
  const bind = (lookup: WeightLookup): HostHead => ({
    rows: "token",
    labels: plan.vocabulary,
    build: (b, { hidden }) => {
      const x = lookup.norm(
        b,
        apply(b, lookup.linear(b, hidden, "head.dense"), plan.activation),
        "head.norm",
        plan.eps,
      );
      const logits = b.op(matmul, { x, w: lookup.value(b, "embeddings.word") }, {}).y as Value;
      return b.op(elementwise, { a: logits, b: lookup.value(b, "head.bias") }, { operation: "add" }).y as Value;
    },
  });
  return { weights, bind };
}

function labelCount(config: Config): number {
  const names = config.id2label;
  const named = typeof names === "object" && names !== null ? Object.keys(names).length : undefined;
  return positive(config, "num_labels", named ?? 2);
}

/** tanh(pooler(h of the first token)): [sequences, d]. */
export function poolFirst(lookup: WeightLookup, leave: LeaveOut = (x) => x): NonNullable<Host["pooler"]> {
  return (b, { hidden, segments }, sequences) => {
    const first = b.op(pool, { x: hidden, segments }, { mode: "first", count: symbolOf(sequences) }).y as Value;
    return apply(b, lookup.linear(b, leave(first, "first"), "head.pooler"), "tanh");
  };
}

/** Names of a classifier behind a pooler. */
export interface PooledNames {
  readonly pooler: string;
  readonly classifier: string;
  /** In training, elements are left out before the pooler too (RoBERTa). */
  readonly leavesFirst?: boolean;
}

/** logits = W·tanh(pooler(h of the first token)) + c: [sequences, labels]. */
export function pooledClassifier(config: Config, shape: HostShape, names: PooledNames): HeadPlan {
  const { pooler, classifier, leavesFirst = false } = names;
  const labels = labelCount(config);
  const { width } = shape;
  const weights = [
    ...linearWeights({ name: "head.pooler", parts: [{ tensor: pooler, out: width }], inputs: width, bias: true }),
    ...linearWeights({
      name: "head.classifier",
      parts: [{ tensor: classifier, out: labels }],
      inputs: width,
      bias: true,
    }),
  ];
  const bind = (lookup: WeightLookup): HostHead => ({
    rows: "sequence",
    labels,
    build: (b, stream, sequences, leave) => {
      const pooled = poolFirst(lookup, leavesFirst ? leave : undefined)(b, stream, sequences);
      return lookup.linear(b, leave(pooled, "pooled"), "head.classifier");
    },
  });
  return { weights, bind };
}

/** logits = W·h + c for the first token of every sequence, without a pooler: [sequences, labels]. */
export function firstTokenClassifier(shape: HostShape, labels: number, classifier: string): HeadPlan {
  const parts = [{ tensor: classifier, out: labels }];
  const weights = linearWeights({ name: "head.classifier", parts, inputs: shape.width, bias: true });
  const bind = (lookup: WeightLookup): HostHead => ({
    rows: "sequence",
    labels,
    build: (b, { hidden, segments }, sequences) => {
      const first = b.op(pool, { x: hidden, segments }, { mode: "first", count: symbolOf(sequences) }).y as Value;
      return lookup.linear(b, first, "head.classifier");
    },
  });
  return { weights, bind };
}

/** logits = W·h + c for every token: [rows, labels]. */
export function tokenClassifier(config: Config, shape: HostShape, classifier: string): HeadPlan {
  const labels = labelCount(config);
  const parts = [{ tensor: classifier, out: labels }];
  const weights = linearWeights({ name: "head.classifier", parts, inputs: shape.width, bias: true });
  const bind = (lookup: WeightLookup): HostHead => ({
    rows: "token",
    labels,
    build: (b, { hidden }, _, leave) => lookup.linear(b, leave(hidden, "tokens"), "head.classifier"),
  });
  return { weights, bind };
}
