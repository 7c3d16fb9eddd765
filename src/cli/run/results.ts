/** @file What a run gave, sequence by sequence: counts, pooled outputs, captures, and the trace of the routing. */

import type { RunOutput, Tensor } from "../../model/types.ts";
import { traceOf } from "../../routing/trace.ts";
import type { RoutingTrace, SequenceTrace } from "../../routing/trace.ts";
import type { BatchResult } from "./batches.ts";
import { spansOf, traceBatch } from "./trace.ts";
import type { Span, TraceOptions } from "./trace.ts";

/** Numbers of one sequence, ready for JSON. */
interface PlainTensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** What a model gave for one sequence. */
export interface ResultRecord {
  /** Rows that each layer selected; null where it is dense. Absent without routing. */
  readonly selected?: readonly (number | null)[];
  /** Mean of the last hidden state over the tokens. */
  readonly hidden?: readonly number[];
  /** Logits of heads with one row per sequence, labels of the largest logit of heads with one row per token. */
  readonly heads?: Readonly<
    Record<string, { readonly logits: readonly number[] } | { readonly labels: readonly number[] }>
  >;
  readonly captures?: Readonly<Record<string, PlainTensor>>;
}

/** One sequence of the result. */
export interface SequenceRecord extends ResultRecord {
  readonly text?: string | readonly [string, string];
  /** The file of a clip, or file and line. */
  readonly place: string;
  /** Its own adapter, null for none. Absent where all have the same. */
  readonly adapter?: string | null;
  readonly tokens: readonly string[];
  /** In place of the results: those of every copy that `parallel(…)` makes, in the order of its children. */
  readonly copies?: readonly ResultRecord[];
}

/** What all sequences together did in one layer. */
export interface LayerRecord {
  readonly rows: number;
  readonly selected: number;
  readonly share: number;
  /** Mean λ of the selected rows. */
  readonly weight: number;
}

/** Time of one batch in milliseconds. */
export interface BatchTime {
  readonly sequences: number;
  readonly tokens: number;
  readonly wall: number;
  readonly gpu: number | null;
}

/** What a run gave. */
export interface Collected {
  readonly sequences: readonly SequenceRecord[];
  readonly layers: readonly (LayerRecord | null)[] | null;
  readonly batches: readonly BatchTime[];
  readonly trace: RoutingTrace | null;
}

/** What {@link collect} is to keep besides the counts. */
export interface CollectOptions {
  readonly outputs: readonly string[];
  readonly trace: TraceOptions | null;
}

/** The number a reader sees: nine digits tell all f32 values apart. */
function plain(values: Float32Array): number[] {
  return Array.from(values, (value) => Number(value.toPrecision(9)));
}

/** A sequence of a batch, or a copy of it: copies follow each other batch by batch. */
interface View {
  readonly index: number;
  readonly views: number;
}

/** The rows of one view; null where it has none. A tensor without segments is divided evenly. */
function rowsOf({ data, shape, segments, sequences }: Tensor, { index, views }: View): PlainTensor | null {
  const [rows = 0, ...rest] = shape;
  const width = rest.reduce((product, extent) => product * extent, 1);
  const count = segments === undefined ? (sequences?.length ?? views) : segments.length - 1;
  // What is computed before copies are made has one part per sequence.
  const part = sequences === undefined ? index % count : sequences.indexOf(index);
  if (part < 0) return null;
  const [start, end] =
    segments === undefined
      ? [part, part + 1].map((edge) => (edge * rows) / count)
      : [segments[part], segments[part + 1]];
  const [from, to] = [start ?? 0, end ?? 0];
  return { shape: [to - from, ...rest], data: plain(data.subarray(from * width, to * width)) };
}

function meanOf({ shape, data }: PlainTensor): number[] {
  const [rows = 0, width = 0] = shape;
  return Array.from({ length: width }, (_, column) => {
    let sum = 0;
    for (let row = 0; row < rows; row += 1) sum += data[row * width + column] as number;
    return Math.fround(sum / rows);
  });
}

function largestOf({ shape, data }: PlainTensor): number[] {
  const [rows = 0, width = 0] = shape;
  return Array.from({ length: rows }, (_, row) => {
    let best = 0;
    for (let column = 1; column < width; column += 1) {
      if ((data[row * width + column] as number) > (data[row * width + best] as number)) best = column;
    }
    return best;
  });
}

function headsOf(heads: RunOutput["heads"], view: View): NonNullable<ResultRecord["heads"]> {
  const entries = Object.entries(heads).flatMap(([name, tensor]) => {
    const own = rowsOf(tensor, view);
    if (own === null) return [];
    return [[name, tensor.segments === undefined ? { logits: own.data } : { labels: largestOf(own) }] as const];
  });
  return Object.fromEntries(entries);
}

function capturesOf(captures: RunOutput["captures"], view: View): Record<string, PlainTensor> {
  const one = (value: Tensor | readonly Tensor[]): PlainTensor | null => {
    if (!Array.isArray(value)) return rowsOf(value as Tensor, view);
    const all = value as readonly Tensor[];
    const { shape, data } = all[view.index % all.length] as Tensor;
    return { shape, data: plain(data) };
  };
  const entries = Object.entries(captures).flatMap(([name, value]) => {
    const own = one(value);
    return own === null ? [] : [[name, own] as const];
  });
  return Object.fromEntries(entries);
}

function selectedOf(routing: NonNullable<RunOutput["routing"]>, [from, to]: Span): (number | null)[] {
  return routing.map((layer) =>
    layer === null ? null : layer.selected.reduce((count, row) => count + (row >= from && row < to ? 1 : 0), 0),
  );
}

function resultOf(output: RunOutput, view: View, span: Span, outputs: readonly string[]): ResultRecord {
  const hidden = outputs.includes("hidden") && output.hidden !== undefined ? rowsOf(output.hidden, view) : null;
  const heads = headsOf(output.heads, view);
  const captures = capturesOf(output.captures, view);
  return {
    ...(output.routing === null ? {} : { selected: selectedOf(output.routing, span) }),
    ...(hidden === null ? {} : { hidden: meanOf(hidden) }),
    ...(Object.keys(heads).length === 0 ? {} : { heads }),
    ...(Object.keys(captures).length === 0 ? {} : { captures }),
  };
}

/** Results of every view of a batch. */
function resultsOf(result: BatchResult, outputs: readonly string[]): ResultRecord[] {
  const spans = spansOf(result);
  return spans.map((span, index) => resultOf(result.output, { index, views: spans.length }, span, outputs));
}

function recordsOf({ batch }: BatchResult, results: readonly ResultRecord[]): SequenceRecord[] {
  return batch.map(({ sequence: { data, place, adapter }, tokens }, index) => {
    const copies = results.filter((_, view) => view % batch.length === index);
    return {
      ...(data.kind === "text" ? { text: data.text } : {}),
      place,
      ...(adapter === undefined ? {} : { adapter }),
      tokens,
      ...(copies.length === 1 ? copies[0] : { copies }),
    };
  });
}

/** The label that the only head with one row per sequence gives; undefined without one, or with several. */
function predictedOf({ heads = {} }: ResultRecord): string | undefined {
  const [only, ...others] = Object.values(heads).flatMap((head) => ("logits" in head ? [head.logits] : []));
  if (only === undefined || others.length > 0) return undefined;
  const best = only.indexOf(only.reduce((a, b) => Math.max(a, b), -Infinity));
  return best < 0 ? undefined : String(best);
}

interface LayerSum {
  rows: number;
  selected: number;
  weight: number;
}

function addLayers(sums: (LayerSum | null)[], routing: NonNullable<RunOutput["routing"]>): void {
  routing.forEach((layer, index) => {
    if (layer === null) {
      sums[index] = null;
      return;
    }
    const sum = sums[index] ?? { rows: 0, selected: 0, weight: 0 };
    sum.rows += layer.weights.length;
    sum.selected += layer.selected.length;
    for (const row of layer.selected) sum.weight += layer.weights[row] as number;
    sums[index] = sum;
  });
}

function layerRecord(sum: LayerSum | null): LayerRecord | null {
  return (
    sum && { rows: sum.rows, selected: sum.selected, share: sum.selected / sum.rows, weight: sum.weight / sum.selected }
  );
}

/** Goes through the batches as they come and keeps what was asked for. */
export async function collect(results: AsyncIterable<BatchResult>, options: CollectOptions): Promise<Collected> {
  const sequences: SequenceRecord[] = [];
  const traces: SequenceTrace[] = [];
  const batches: BatchTime[] = [];
  const sums: (LayerSum | null)[] = [];
  for await (const result of results) {
    const { batch, output } = result;
    const views = resultsOf(result, options.outputs);
    sequences.push(...recordsOf(result, views));
    if (output.routing !== null) addLayers(sums, output.routing);
    if (options.trace !== null && output.routing !== null)
      traces.push(...traceBatch(result, options.trace, views.map(predictedOf)));
    const tokens = batch.reduce((sum, item) => sum + item.tokens.length, 0);
    batches.push({ sequences: batch.length, tokens, wall: output.timing.wall, gpu: output.timing.gpu });
  }
  const routed = sums.length > 0;
  const trace = options.trace === null || !routed ? null : traceOf(options.trace.head, sums.length, traces);
  return { sequences, layers: routed ? sums.map(layerRecord) : null, batches, trace };
}
