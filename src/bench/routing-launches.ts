/**
 * @file What capture points cost while nothing is captured: launches of a routed layer as models build it, against the same layer
 * written out from ops, in which no value has a name and nothing is made for being looked at.
 */

import type { Gpu } from "../gpu/gpu.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { optimize } from "../graph/passes/optimize.ts";
import { schedule } from "../graph/schedule.ts";
import type { Sizes } from "../graph/schedule.ts";
import type { Graph, Value } from "../graph/value.ts";
import { OFFSETS, ROWS, SEQUENCES } from "../hosts/symbols.ts";
import { buildModel } from "../model/build.ts";
import { capacitiesFor } from "../model/lengths.ts";
import { activation } from "../ops/activation.ts";
import { adapter } from "../ops/adapter.ts";
import { attention } from "../ops/attention.ts";
import { elementwise } from "../ops/elementwise.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { layerNorm } from "../ops/layer-norm.ts";
import { matmul } from "../ops/matmul.ts";
import { runtimeDim } from "../ops/op.ts";
import { rowDot } from "../ops/row-dot.ts";
import { scatterAddRows } from "../ops/scatter-add-rows.ts";
import { softTopK } from "../ops/soft-top-k.ts";
import { topK } from "../ops/top-k.ts";
import { coda } from "../routing/coda.ts";
import type { Encoder } from "./encoder.ts";
import type { EncoderSizes } from "./encoder-host.ts";
import { lengthsOf, prepareForm } from "./encoder-forms.ts";
import type { RoutedForm } from "./encoder-forms.ts";

const SELECTED = runtimeDim("selected");

/** A post-LN layer over some rows, from ops alone. */
function bareLayer(
  b: GraphBuilder,
  x: Value,
  keys: Value,
  tables: { q: Value; kv: Value },
  sizes: EncoderSizes,
): Value {
  const { width: d, heads, ffnWidth } = sizes;
  const linear = (rows: Value, name: string, inputs: number, out: number): Value => {
    const w = b.parameter(`${name}.weight`, [out, inputs]);
    return b.op(matmul, { x: rows, w, bias: b.parameter(`${name}.bias`, [out]) }, {}).y as Value;
  };
  const norm = (rows: Value, name: string): Value => {
    const inputs = { x: rows, gamma: b.parameter(`${name}.weight`, [d]), beta: b.parameter(`${name}.bias`, [d]) };
    return b.op(layerNorm, inputs, { eps: 1e-12 }).y as Value;
  };
  const add = (left: Value, right: Value): Value =>
    b.op(elementwise, { a: left, b: right }, { operation: "add" }).y as Value;
  const together = keys === x;
  const q = linear(x, "qkv", d, together ? 3 * d : d);
  const kv = together ? q : linear(keys, "kv", d, 2 * d);
  const inputs = { q, kv, q_segments: tables.q, kv_segments: tables.kv };
  const headWidth = d / heads;
  const columns = { kAt: together ? d : 0, vAt: together ? 2 * d : d };
  const mixed = b.op(attention, inputs, { heads, headWidth, scale: headWidth ** -0.5, ...columns }).y as Value;
  const h = norm(add(linear(mixed, "proj", d, d), x), "norm1");
  const up = b.op(activation, { x: linear(h, "up", d, ffnWidth) }, { kind: "gelu" }).y as Value;
  return norm(add(linear(up, "down", ffnWidth, d), h), "norm2");
}

/** A routed layer with a parallel adapter, from ops alone. */
export function bareRoutedLayer(sizes: EncoderSizes, { reduction, attention: form }: RoutedForm): Graph {
  const b = new GraphBuilder();
  const { width: d, bottleneck } = sizes;
  const x = b.input("x", [ROWS, d]);
  const table = (name: string): Value => b.input(name, [OFFSETS], "u32");
  const [segments, chosenSegments] = [table("segments"), table("selected.segments")];
  const scores = b.op(rowDot, { x, w: b.parameter("router", [d]) }, {}).y as Value;
  const choice = { scores, segments, selected_segments: chosenSegments };
  const { softTopK: mode, epsilon, iterations, epsilonStart, epsilonDecay } = coda({ reduction });
  const attributes = { mode, epsilon, iterations, epsilonStart, epsilonDecay };
  const weights = b.op(softTopK, choice, attributes).weights as Value;
  const { rows, invalid } = b.op(topK, choice, { count: SELECTED.symbol }) as { rows: Value; invalid: Value };
  const taken = b.op(gatherRows, { x, rows }, {}).y as Value;
  // With r = 1 all rows are selected, and both forms are one.
  const all = form === "k-to-all" && reduction !== 1;
  const tables = { q: chosenSegments, kv: all ? segments : chosenSegments };
  const heavy = bareLayer(b, taken, all ? x : taken, tables, sizes);
  const delta = b.op(elementwise, { a: heavy, b: taken }, { operation: "sub" }).y as Value;
  const size = bottleneck * (2 * d + 1) + d;
  const light = b.op(
    adapter,
    {
      x,
      residual: x,
      segments,
      segment_slots: b.input("slots of sequences", [SEQUENCES], "u32"),
      slots: b.parameter("slots", [1, 4], "u32"),
      bank: b.parameter("bank", [1, Math.ceil(size / 4) * 4]),
    },
    { width: d, maxWidth: bottleneck },
  ).y as Value;
  const hidden = b.op(scatterAddRows, { base: light, x: delta, rows, weight: weights }, {}).y as Value;
  return b.finish({ hidden, rows, weights, scores, invalid });
}

/** Launches of a plan for a graph. */
function launchesOf(gpu: Gpu, graph: Graph, capacities: Sizes): number {
  return schedule(graph, gpu.traits, capacities).reduce((total, { launches }) => total + launches.length, 0);
}

/** Launches of one routed layer. */
export interface CaptureLaunches {
  /** As models build it, with capture points, nothing captured. */
  readonly off: number;
  /** Without any capture point. */
  readonly without: number;
  /** With everything captured that a layer names. */
  readonly on: number;
}

const CAPTURED = ["attention.probabilities", "attention.output", "ffn.output"].map((name) => `layers.0.${name}`);

/** Counts the launches of a form of a post-LN encoder of one layer. */
export async function captureLaunches(encoder: Encoder, form: RoutedForm, tokens: number): Promise<CaptureLaunches> {
  const { gpu, sizes } = encoder;
  const { parts, signature } = await prepareForm(encoder, form);
  const launches = (captures: readonly string[]): { readonly count: number; readonly capacities: Sizes } => {
    const built = buildModel(parts, { ...signature, captures });
    const capacities = capacitiesFor(lengthsOf(built, parts, [tokens]), undefined);
    return { count: launchesOf(gpu, built.graph, capacities), capacities };
  };
  const off = launches([]);
  const selected = Object.entries(off.capacities).find(([symbol]) => symbol.startsWith("selected"))?.[1] ?? tokens;
  const bare = optimize(bareRoutedLayer(sizes, form));
  return {
    off: off.count,
    without: launchesOf(gpu, bare, { ...off.capacities, [SELECTED.symbol]: selected }),
    on: launches(CAPTURED).count,
  };
}
