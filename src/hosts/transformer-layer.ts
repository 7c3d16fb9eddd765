/** @file The two Transformer layers that all hosts are made of: post-LN (BERT, ALBERT, KWT) and pre-LN (GPT-2, T5, ViT). */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { activation } from "../ops/activation.ts";
import type { ActivationName } from "../ops/activation.ts";
import { attention } from "../ops/attention.ts";
import { attentionProbabilities } from "../ops/attention-probabilities.ts";
import { elementwise } from "../ops/elementwise.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import type { LayerSites, LinearMap, MapWeights, ResidualSite, Selection } from "../sites/site.ts";
import type { HeavyPath, Host, HostLayer, HostShape, KeyRows, LayerRows, Stream } from "./host.ts";
import { probabilityCount } from "./symbols.ts";
import type { WeightLookup } from "./weights.ts";

/** What a layer is built from besides its weights. */
export interface LayerSettings {
  readonly shape: HostShape;
  readonly weights: WeightLookup;
  readonly activation: ActivationName;
  readonly eps: number;
  /** Factor of the attention's scores; 1 / √headWidth when absent. */
  readonly scale?: number;
  /** What is added to the scores by distance: [2 D + 1, heads], as the op `attention` takes it. */
  readonly relativeBias?: (b: GraphBuilder) => Value;
}

/**
 * One layer: its settings, what stands at its sites, and the prefix of its weights `qkv`, `proj`, `norm1`, `up`, `down`, `norm2`, with
 * `gate` where the feed-forward part is gated. Biases are optional; a norm without one is a root-mean-square norm.
 */
interface LayerParts {
  readonly settings: LayerSettings;
  readonly sites: LayerSites;
  readonly prefix: string;
}

/**
 * Where the linear maps of such a layer are resident. A map has the bias that the host declares: its weights are the one place that says
 * so, and loading refuses a checkpoint without a tensor that is declared.
 */
function transformerMap(
  { shape, weights }: Pick<LayerSettings, "shape" | "weights">,
  prefix: string,
  map: LinearMap,
): MapWeights {
  const d = shape.heads * shape.headWidth;
  const part = (name: string, first: number, count: number, inputs: number): MapWeights => {
    const bias = `${prefix}.${name}.bias`;
    return { weight: `${prefix}.${name}.weight`, bias: weights.has(bias) ? bias : null, first, count, inputs };
  };
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

/** @returns the selected rows of x. */
function take(b: GraphBuilder, x: Value, selection: Selection | null): Value {
  return selection === null ? x : (b.op(gatherRows, { x, rows: selection.rows }, {}).y as Value);
}

/** y = x·Wᵀ + bias of maps that lie side by side in one matrix, with what stands at their sites. */
function project(
  b: GraphBuilder,
  x: Value,
  selection: Selection | null,
  names: readonly LinearMap[],
  { settings, sites, prefix }: LayerParts,
): Value {
  const places = names.map((name) => transformerMap(settings, prefix, name));
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

/** The rows that keys and values are made of, and those among them that ask no query; null for all rows. */
function keyRowsOf(rows: LayerRows): KeyRows | null {
  if (rows.selection === null || rows.keys === "all") return null;
  return rows.keys === "selected" ? { selection: rows.selection } : rows.keys;
}

/**
 * Self-attention and its output projection over the rows asked for: [k, d].
 * k-to-k projects queries, keys and values of the selected rows in one matmul; k-to-all projects keys and values of
 * all rows (MATHS §1.2, eq. 8); keys of a selection of their own are projected by themselves (CoLT5). Capture points:
 * `attention.probabilities`, `attention.output`.
 */
function attend(b: GraphBuilder, stream: Stream, rows: LayerRows, parts: LayerParts): Value {
  const { shape, scale = 1 / Math.sqrt(shape.headWidth), relativeBias } = parts.settings;
  const { hidden: x, segments } = stream;
  // Only the causal order and a relative bias ask where a selected row came from.
  const placed = shape.causal || relativeBias !== undefined;
  const d = shape.heads * shape.headWidth;
  const { selection } = rows;
  const chosen = keyRowsOf(rows);
  const keySelection = chosen?.selection ?? null;
  const together = keySelection === selection && chosen?.change === undefined;
  const queries = take(b, x, selection);
  const q = project(b, queries, selection, together ? ["query", "key", "value"] : ["query"], parts);
  const taken = together ? queries : take(b, x, keySelection);
  const keyInput = chosen?.change?.(taken) ?? taken;
  const own = {
    kv: together ? q : project(b, keyInput, keySelection, ["key", "value"], parts),
    kAt: together ? d : 0,
    vAt: together ? 2 * d : d,
    segments: keySelection?.segments ?? segments,
    positions: placed ? keySelection?.positions : undefined,
  };
  const { heads, headWidth, causal } = shape;
  const biased = relativeBias !== undefined;
  const site = { ...own, input: keyInput, width: d, causal, relativeBias: biased, selection, keySelection };
  const { kv, kAt, vAt, segments: keySegments, positions } = parts.sites.keysValues?.(site) ?? own;
  const inputs = {
    q,
    kv,
    q_segments: selection === null ? segments : selection.segments,
    kv_segments: keySegments,
    positions: placed ? selection?.positions : undefined,
    kv_positions: positions,
    bias: relativeBias?.(b),
  };
  const attributes = { heads, headWidth, scale, causal, qAt: 0, kAt, vAt };
  const mixed = b.op(attention, inputs, attributes).y as Value;
  // Of rows that the GPU counts nobody knows in time how many probabilities there are.
  if ([inputs.q_segments, keySegments].every(({ node }) => node.kind === "input")) {
    const count = probabilityCount(inputs.q_segments, keySegments);
    b.name("attention.probabilities", b.op(attentionProbabilities, inputs, { ...attributes, count }).y as Value);
  }
  return b.name("attention.output", project(b, mixed, selection, ["proj"], parts));
}

/**
 * W2·act(W1·x), or gated W2·(act(G·x) ⊙ W1·x): adapters of the map `up` act on the linear half W1, as in the `adapters` library, and
 * the gate G has no site. Capture point: `ffn.output`.
 */
function feedForward(b: GraphBuilder, x: Value, selection: Selection | null, parts: LayerParts): Value {
  const { shape, weights, activation: kind } = parts.settings;
  const active = (rows: Value): Value => b.op(activation, { x: rows }, { kind }).y as Value;
  const up = project(b, x, selection, ["up"], parts);
  const gate = shape.gated === true ? active(weights.linear(b, x, `${parts.prefix}.gate`)) : null;
  const inner = gate === null ? active(up) : (b.op(elementwise, { a: gate, b: up }, { operation: "mul" }).y as Value);
  return b.name("ffn.output", project(b, inner, selection, ["down"], parts));
}

/** LN2(h + FFN(h)) with h = LN1(x + attention(x)). */
function postNormLayer(b: GraphBuilder, stream: Stream, parts: LayerParts): HostLayer {
  const { weights, eps } = parts.settings;
  const norm = (name: string) => (x: Value) => weights.norm(b, x, `${parts.prefix}.${name}`, eps);
  const path = (input: Value, output: Value): HeavyPath => ({ output, delta: () => subtract(b, output, input) });
  const attended = (rows: LayerRows): HeavyPath => {
    const { selection } = rows;
    const input = take(b, stream.hidden, selection);
    const output = attend(b, stream, rows, parts);
    return path(input, close(b, { place: "attention", output, stream: input, norm: norm("norm1"), selection }, parts));
  };
  const fed = (h: Value, selection: Selection | null): Value => {
    const output = feedForward(b, h, selection, parts);
    return close(b, { place: "ffn", output, stream: h, norm: norm("norm2"), selection }, parts);
  };
  return {
    siteInput: stream.hidden,
    attention: { siteInput: stream.hidden, heavy: attended },
    ffn: (h) => ({
      siteInput: h,
      heavy: ({ selection }) => {
        const input = take(b, h, selection);
        return path(input, fed(input, selection));
      },
    }),
    heavy: (rows) => {
      const output = fed(attended(rows).output, rows.selection);
      return path(take(b, stream.hidden, rows.selection), output);
    },
  };
}

/** h + FFN(LN2(h)) with h = x + attention(LN1(x)). */
function preNormLayer(b: GraphBuilder, stream: Stream, parts: LayerParts): HostLayer {
  const { weights, eps } = parts.settings;
  const { hidden: x, segments } = stream;
  const norm = (name: string, of: Value): Value => weights.norm(b, of, `${parts.prefix}.${name}`, eps);
  const siteInput = norm("norm1", x);
  const plain = parts.sites.residual === undefined;
  const delta = (input: Value, output: Value, terms: readonly Value[]): Value =>
    plain ? terms.reduce((sum, term) => add(b, term, sum)) : subtract(b, output, input);
  const attended = (rows: LayerRows): { input: Value; term: Value; output: Value } => {
    const { selection } = rows;
    const input = take(b, x, selection);
    const term = attend(b, { hidden: siteInput, segments }, rows, parts);
    return {
      input,
      term,
      output: close(b, { place: "attention", output: term, stream: input, norm: null, selection }, parts),
    };
  };
  const fed = (normed: Value, h: Value, selection: Selection | null): { term: Value; output: Value } => {
    const term = feedForward(b, normed, selection, parts);
    return { term, output: close(b, { place: "ffn", output: term, stream: h, norm: null, selection }, parts) };
  };
  return {
    siteInput,
    attention: {
      siteInput,
      heavy: (rows) => {
        const { input, term, output } = attended(rows);
        return { output, delta: () => delta(input, output, [term]) };
      },
    },
    ffn: (h) => {
      const normed = norm("norm2", h);
      return {
        siteInput: normed,
        heavy: ({ selection }) => {
          const input = take(b, h, selection);
          const { term, output } = fed(take(b, normed, selection), input, selection);
          return { output, delta: () => delta(input, output, [term]) };
        },
      };
    },
    heavy: (rows) => {
      const { input, term: first, output: h } = attended(rows);
      const { term: second, output } = fed(norm("norm2", h), h, rows.selection);
      return { output, delta: () => delta(input, output, [first, second]) };
    },
  };
}

/** The layers of a host, and where their linear maps are resident. `prefixOf` says which weights a layer has. */
export function transformerLayers(
  settings: LayerSettings,
  prefixOf: (index: number) => string = (index) => `layers.${index}`,
): Pick<Host, "layer" | "map"> {
  const build = settings.shape.normPosition === "pre" ? preNormLayer : postNormLayer;
  return {
    layer: (b, index, stream, sites) => build(b, stream, { settings, sites, prefix: prefixOf(index) }),
    map: (index, map) => transformerMap(settings, prefixOf(index), map),
  };
}
