/** @file The two Transformer layers that all hosts are made of: post-LN (BERT, ALBERT, KWT) and pre-LN (GPT-2, ViT). */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { activation } from "../ops/activation.ts";
import type { ActivationName } from "../ops/activation.ts";
import { attention } from "../ops/attention.ts";
import { attentionProbabilities } from "../ops/attention-probabilities.ts";
import { elementwise } from "../ops/elementwise.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import type { HeavyPath, HostLayer, HostShape, LayerRows } from "./host.ts";
import type { WeightLookup } from "./weights.ts";

/** What a layer is built from besides its weights. */
export interface LayerSettings {
  readonly shape: HostShape;
  readonly weights: WeightLookup;
  readonly activation: ActivationName;
  readonly eps: number;
}

/** Names of a layer's weights: `qkv`, `proj`, `norm1`, `up`, `down`, `norm2` below this prefix. */
export type LayerPrefix = string;

function add(b: GraphBuilder, left: Value, right: Value): Value {
  return b.op(elementwise, { a: left, b: right }, { operation: "add" }).y as Value;
}

function subtract(b: GraphBuilder, left: Value, right: Value): Value {
  return b.op(elementwise, { a: left, b: right }, { operation: "sub" }).y as Value;
}

/** @returns the rows of x that are asked for. */
function take(b: GraphBuilder, x: Value, rows: LayerRows): Value {
  return rows.selection === null ? x : (b.op(gatherRows, { x, rows: rows.selection.rows }, {}).y as Value);
}

/**
 * Self-attention and its output projection over the rows asked for: [k, d].
 * k-to-k projects queries, keys and values of the selected rows in one matmul; k-to-all projects keys and values of
 * all rows (MATHS §1.2, eq. 8). Capture points: `attention.probabilities`, `attention.output`.
 */
function attend(
  b: GraphBuilder,
  x: Value,
  segments: Value,
  rows: LayerRows,
  settings: LayerSettings,
  prefix: LayerPrefix,
): Value {
  const { shape, weights } = settings;
  const d = shape.heads * shape.headWidth;
  const { selection } = rows;
  const all = selection !== null && rows.keys === "all";
  const queries = take(b, x, rows);
  const q = all
    ? weights.linear(b, queries, `${prefix}.qkv`, { first: 0, count: d })
    : weights.linear(b, queries, `${prefix}.qkv`);
  const kv = all ? weights.linear(b, x, `${prefix}.qkv`, { first: d, count: 2 * d }) : q;
  const inputs = {
    q,
    kv,
    q_segments: selection === null ? segments : selection.segments,
    kv_segments: selection === null || all ? segments : selection.segments,
    // Only the causal order asks where a selected row came from.
    positions: selection !== null && shape.causal ? selection.positions : undefined,
  };
  const attributes = {
    heads: shape.heads,
    headWidth: shape.headWidth,
    scale: 1 / Math.sqrt(shape.headWidth),
    causal: shape.causal,
    qAt: 0,
    kAt: all ? 0 : d,
    vAt: all ? d : 2 * d,
    keysSelected: selection !== null && !all,
  };
  const mixed = b.op(attention, inputs, attributes).y as Value;
  const count = `probabilities.${probabilityKey(rows)}`;
  b.name("attention.probabilities", b.op(attentionProbabilities, inputs, { ...attributes, count }).y as Value);
  return b.name("attention.output", weights.linear(b, mixed, `${prefix}.proj`));
}

/** Layers that keep the same rows have as many probabilities. */
function probabilityKey(rows: LayerRows): string {
  if (rows.selection === null) return "dense";
  const dim = rows.selection.rows.type.shape[0];
  const symbol = typeof dim === "object" ? dim.symbol : "";
  return `${symbol}.${rows.keys}`;
}

function feedForward(b: GraphBuilder, x: Value, settings: LayerSettings, prefix: LayerPrefix): Value {
  const up = settings.weights.linear(b, x, `${prefix}.up`);
  const active = b.op(activation, { x: up }, { kind: settings.activation }).y as Value;
  return b.name("ffn.output", settings.weights.linear(b, active, `${prefix}.down`));
}

/** LN2(h + FFN(h)) with h = LN1(x + attention(x)). */
export function postNormLayer(
  b: GraphBuilder,
  x: Value,
  segments: Value,
  settings: LayerSettings,
  prefix: LayerPrefix,
): HostLayer {
  const heavy = (rows: LayerRows): HeavyPath => {
    const input = take(b, x, rows);
    const attended = attend(b, x, segments, rows, settings, prefix);
    const h = settings.weights.norm(b, add(b, attended, input), `${prefix}.norm1`, settings.eps);
    const output = settings.weights.norm(
      b,
      add(b, feedForward(b, h, settings, prefix), h),
      `${prefix}.norm2`,
      settings.eps,
    );
    return { output, delta: subtract(b, output, input) };
  };
  return { siteInput: x, heavy };
}

/** h + FFN(LN2(h)) with h = x + attention(LN1(x)). */
export function preNormLayer(
  b: GraphBuilder,
  x: Value,
  segments: Value,
  settings: LayerSettings,
  prefix: LayerPrefix,
): HostLayer {
  const siteInput = settings.weights.norm(b, x, `${prefix}.norm1`, settings.eps);
  const heavy = (rows: LayerRows): HeavyPath => {
    const attended = attend(b, siteInput, segments, rows, settings, prefix);
    const h = add(b, attended, take(b, x, rows));
    const normed = settings.weights.norm(b, h, `${prefix}.norm2`, settings.eps);
    const ffn = feedForward(b, normed, settings, prefix);
    return { output: add(b, ffn, h), delta: add(b, ffn, attended) };
  };
  return { siteInput, heavy };
}
