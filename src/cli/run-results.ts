/** @file What a run gave, sequence by sequence: counts, pooled outputs, captures, and the trace of the routing. */

import type { RunOutput, Tensor } from "../model/types.ts";
import { makeTrace } from "../routing/trace.ts";
import type { RoutingTrace, SequenceTrace } from "../routing/trace.ts";
import type { BatchResult, Prepared } from "./run-batches.ts";

/** Numbers of one sequence, ready for JSON. */
interface PlainTensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** One sequence of the result. */
export interface SequenceRecord {
  readonly text?: string | readonly [string, string];
  /** The file of a clip, or file and line. */
  readonly place: string;
  readonly tokens: readonly string[];
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
  readonly trace: Pick<RoutingTrace, "model" | "device" | "settings"> | null;
}

/** The number a reader sees: nine digits tell all f32 values apart. */
function plain(values: Float32Array): number[] {
  return Array.from(values, (value) => Number(value.toPrecision(9)));
}

/** The rows of one sequence; a tensor without segments is divided evenly. */
function rowsOf({ data, shape, segments }: Tensor, index: number, sequences: number): PlainTensor {
  const [rows = 0, ...rest] = shape;
  const width = rest.reduce((product, extent) => product * extent, 1);
  const [start, end] =
    segments === undefined
      ? [index, index + 1].map((part) => (part * rows) / sequences)
      : [segments[index], segments[index + 1]];
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

function headsOf(heads: RunOutput["heads"], index: number, sequences: number): NonNullable<SequenceRecord["heads"]> {
  const entries = Object.entries(heads).map(([name, tensor]) => {
    const own = rowsOf(tensor, index, sequences);
    return [name, tensor.segments === undefined ? { logits: own.data } : { labels: largestOf(own) }] as const;
  });
  return Object.fromEntries(entries);
}

function capturesOf(captures: RunOutput["captures"], index: number, sequences: number): Record<string, PlainTensor> {
  const one = (value: Tensor | readonly Tensor[]): PlainTensor => {
    if (!Array.isArray(value)) return rowsOf(value as Tensor, index, sequences);
    const { shape, data } = (value as readonly Tensor[])[index] as Tensor;
    return { shape, data: plain(data) };
  };
  return Object.fromEntries(Object.entries(captures).map(([name, value]) => [name, one(value)]));
}

function selectedOf(routing: NonNullable<RunOutput["routing"]>, from: number, to: number): (number | null)[] {
  return routing.map((layer) =>
    layer === null ? null : layer.selected.reduce((count, row) => count + (row >= from && row < to ? 1 : 0), 0),
  );
}

function recordOf(
  item: Prepared,
  index: number,
  from: number,
  result: BatchResult,
  outputs: readonly string[],
): SequenceRecord {
  const { output, batch } = result;
  const { sequence, tokens } = item;
  const wants = (name: string): boolean => outputs.some((asked) => asked === name || asked.startsWith(`${name}.`));
  return {
    ...(sequence.data.kind === "text" ? { text: sequence.data.text } : {}),
    place: sequence.place,
    tokens,
    ...(output.routing === null ? {} : { selected: selectedOf(output.routing, from, from + tokens.length) }),
    ...(wants("hidden") && output.hidden !== undefined
      ? { hidden: meanOf(rowsOf(output.hidden, index, batch.length)) }
      : {}),
    ...(wants("heads") ? { heads: headsOf(output.heads, index, batch.length) } : {}),
    ...(Object.keys(output.captures).length === 0
      ? {}
      : { captures: capturesOf(output.captures, index, batch.length) }),
  };
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

function traceOf(
  { batch, output }: BatchResult,
  about: NonNullable<CollectOptions["trace"]>,
): readonly SequenceTrace[] {
  const texts = batch.map(({ sequence: { data, place } }) =>
    data.kind === "text" ? [data.text].flat().join(" | ") : place,
  );
  return makeTrace({ ...about, tokens: batch.map(({ tokens }) => tokens), texts, routing: output.routing ?? [] })
    .sequences;
}

/** Goes through the batches as they come and keeps what was asked for. */
export async function collect(results: AsyncIterable<BatchResult>, options: CollectOptions): Promise<Collected> {
  const sequences: SequenceRecord[] = [];
  const traces: SequenceTrace[] = [];
  const batches: BatchTime[] = [];
  const sums: (LayerSum | null)[] = [];
  for await (const result of results) {
    const { batch, output } = result;
    let from = 0;
    batch.forEach((item, index) => {
      sequences.push(recordOf(item, index, from, result, options.outputs));
      from += item.tokens.length;
    });
    if (output.routing !== null) addLayers(sums, output.routing);
    if (options.trace !== null && output.routing !== null) traces.push(...traceOf(result, options.trace));
    batches.push({ sequences: batch.length, tokens: from, wall: output.timing.wall, gpu: output.timing.gpu });
  }
  const routed = sums.length > 0;
  const trace: RoutingTrace | null =
    options.trace === null || !routed
      ? null
      : {
          format: "adapters-webgpu/routing-trace",
          version: 1,
          ...options.trace,
          layers: sums.length,
          sequences: traces,
        };
  return { sequences, layers: routed ? sums.map(layerRecord) : null, batches, trace };
}
