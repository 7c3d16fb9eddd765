/** @file The two Transformer layers that all hosts are made of: post-LN (BERT, ALBERT, KWT) and pre-LN (GPT-2, ViT). */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { activation } from "../ops/activation.ts";
import type { ActivationName } from "../ops/activation.ts";
import { attention } from "../ops/attention.ts";
import { attentionProbabilities } from "../ops/attention-probabilities.ts";
import { elementwise } from "../ops/elementwise.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import type { LayerSites, LinearMap, MapWeights, ResidualSite } from "../sites/site.ts";
import type { HeavyPath, HostLayer, HostShape, LayerRows, Stream } from "./host.ts";
import { probabilityCount } from "./symbols.ts";
import type { WeightLookup } from "./weights.ts";

/** What a layer is built from besides its weights. */
export interface LayerSettings {
  readonly shape: HostShape;
  readonly weights: WeightLookup;
  readonly activation: ActivationName;
  readonly eps: number;
}

/** One layer: its settings, what stands at its sites, and the prefix of its weights `qkv`, `proj`, `norm1`, `up`, `down`, `norm2`. */
interface LayerParts {
  readonly settings: LayerSettings;
  readonly sites: LayerSites;
  readonly prefix: string;
}

/** Where the linear maps of such a layer are resident. */
export function transformerMap(shape: HostShape, prefix: string, map: LinearMap): MapWeights {
  const d = shape.heads * shape.headWidth;
  const part = (name: string, first: number, count: number, inputs: number): MapWeights => ({
    weight: `${prefix}.${name}.weight`,
    bias: `${prefix}.${name}.bias`,
    first,
    count,
    inputs,
  });
  const packed = ["query", "key", "value"].indexOf(map);
  if (packed >= 0) return part("qkv", packed * d, d, shape.width);
  if (map === "proj") return part("proj", 0, shape.width, d);
  return map === "up" ? part("up", 0, shape.ffnWidth, shape.width) : part("down", 0, shape.width, shape.ffnWidth);
}

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

/** y = x·Wᵀ + bias of maps that lie side by side in one matrix, with what stands at their sites. */
function project(
  b: GraphBuilder,
  x: Value,
  rows: LayerRows,
  names: readonly LinearMap[],
  { settings, sites, prefix }: LayerParts,
): Value {
  const { selection } = rows;
  const places = names.map((name) => transformerMap(settings.shape, prefix, name));
  const [start] = places as [MapWeights];
  const maps = places.map(({ first, count }, index) => ({
    map: names[index] as LinearMap,
    first: first - start.first,
    count,
  }));
  const count = maps.reduce((sum, part) => sum + part.count, 0);
  const whole = places.length !== 3 && start.weight.endsWith(".qkv.weight") ? { first: start.first, count } : undefined;
  const input = sites.input?.({ maps, x, selection }) ?? x;
  const y = settings.weights.linear(b, input, start.weight.slice(0, -".weight".length), whole);
  return sites.linear?.({ maps, x: input, y, selection }) ?? y;
}

/** The stream after a sub-layer: the host's add and norm, or what stands at the site. */
function close(b: GraphBuilder, site: ResidualSite, { sites }: LayerParts): Value {
  if (sites.residual !== undefined) return sites.residual(site);
  const sum = add(b, site.output, site.stream);
  return site.norm === null ? sum : site.norm(sum);
}

/**
 * Self-attention and its output projection over the rows asked for: [k, d].
 * k-to-k projects queries, keys and values of the selected rows in one matmul; k-to-all projects keys and values of
 * all rows (MATHS §1.2, eq. 8). Capture points: `attention.probabilities`, `attention.output`.
 */
function attend(b: GraphBuilder, stream: Stream, rows: LayerRows, parts: LayerParts): Value {
  const { shape } = parts.settings;
  const { hidden: x, segments } = stream;
  const d = shape.heads * shape.headWidth;
  const { selection } = rows;
  const all = selection !== null && rows.keys === "all";
  const keysSelected = selection !== null && !all;
  const queries = take(b, x, rows);
  const q = project(b, queries, rows, all ? ["query"] : ["query", "key", "value"], parts);
  const own = {
    kv: all ? project(b, x, { selection: null }, ["key", "value"], parts) : q,
    kAt: all ? 0 : d,
    vAt: all ? d : 2 * d,
    segments: keysSelected ? selection.segments : segments,
    // Only the causal order asks where a selected row came from.
    positions: selection !== null && shape.causal ? selection.positions : undefined,
  };
  const site = { ...own, input: keysSelected ? queries : x, width: d, causal: shape.causal, selection, keysSelected };
  const { kv, kAt, vAt, segments: keySegments, positions } = parts.sites.keysValues?.(site) ?? own;
  const inputs = {
    q,
    kv,
    q_segments: selection === null ? segments : selection.segments,
    kv_segments: keySegments,
    positions,
  };
  const scale = 1 / Math.sqrt(shape.headWidth);
  const { heads, headWidth, causal } = shape;
  const attributes = { heads, headWidth, scale, causal, qAt: 0, kAt, vAt, keysSelected };
  const mixed = b.op(attention, inputs, attributes).y as Value;
  const count = probabilityCount(inputs.q_segments, keySegments);
  b.name("attention.probabilities", b.op(attentionProbabilities, inputs, { ...attributes, count }).y as Value);
  return b.name("attention.output", project(b, mixed, rows, ["proj"], parts));
}

function feedForward(b: GraphBuilder, x: Value, rows: LayerRows, parts: LayerParts): Value {
  const up = project(b, x, rows, ["up"], parts);
  const active = b.op(activation, { x: up }, { kind: parts.settings.activation }).y as Value;
  return b.name("ffn.output", project(b, active, rows, ["down"], parts));
}

/** LN2(h + FFN(h)) with h = LN1(x + attention(x)). */
export function postNormLayer(b: GraphBuilder, stream: Stream, parts: LayerParts): HostLayer {
  const { weights, eps } = parts.settings;
  const norm = (name: string) => (x: Value) => weights.norm(b, x, `${parts.prefix}.${name}`, eps);
  const heavy = (rows: LayerRows): HeavyPath => {
    const { selection } = rows;
    const input = take(b, stream.hidden, rows);
    const attended = attend(b, stream, rows, parts);
    const first = { place: "attention", output: attended, stream: input, norm: norm("norm1"), selection } as const;
    const h = close(b, first, parts);
    const ffn = feedForward(b, h, rows, parts);
    const output = close(b, { place: "ffn", output: ffn, stream: h, norm: norm("norm2"), selection }, parts);
    return { output, delta: () => subtract(b, output, input) };
  };
  return { siteInput: stream.hidden, heavy };
}

/** h + FFN(LN2(h)) with h = x + attention(LN1(x)). */
export function preNormLayer(b: GraphBuilder, stream: Stream, parts: LayerParts): HostLayer {
  const { weights, eps } = parts.settings;
  const { hidden: x, segments } = stream;
  const siteInput = weights.norm(b, x, `${parts.prefix}.norm1`, eps);
  const heavy = (rows: LayerRows): HeavyPath => {
    const { selection } = rows;
    const input = take(b, x, rows);
    const attended = attend(b, { hidden: siteInput, segments }, rows, parts);
    const h = close(b, { place: "attention", output: attended, stream: input, norm: null, selection }, parts);
    const normed = weights.norm(b, h, `${parts.prefix}.norm2`, eps);
    const ffn = feedForward(b, normed, rows, parts);
    const output = close(b, { place: "ffn", output: ffn, stream: h, norm: null, selection }, parts);
    const plain = parts.sites.residual === undefined;
    return { output, delta: () => (plain ? add(b, ffn, attended) : subtract(b, output, input)) };
  };
  return { siteInput, heavy };
}
