/**
 * @file The routing trace: which tokens of which sequences took the heavy path in which layer, as plain JSON that a
 * run writes and that the report, or any other program, reads.
 */

import { EngineError } from "../errors.ts";
import type { RoutedPart } from "./coda.ts";
import type {
  CurvePoint,
  Json,
  LayerTrace,
  RoutingTrace,
  SelectionTrace,
  SequenceFacts,
  SequenceTrace,
} from "./trace-types.ts";

export { expectTraceOf, parseTrace } from "./trace-read.ts";
export type * from "./trace-types.ts";

/** What one router of a run chose: rows of the packed batch. */
export interface SelectionSource {
  /** Ascending. */
  readonly selected: Uint32Array;
  /** λ of every row. */
  readonly weights: Float32Array;
}

/** What one layer of a run chose, as `model.run` returns it. */
export interface LayerSource extends SelectionSource {
  /** Score of every row; null or absent for routers without any. */
  readonly scores?: Float32Array | null;
  readonly part?: RoutedPart;
  readonly keys?: SelectionSource | null;
}

/** What a trace says of the whole run. */
export interface TraceHead {
  readonly model: string;
  readonly device: string;
  readonly settings: { readonly [key: string]: Json };
}

/** A run's result from which a trace is made. */
export interface TraceSource extends TraceHead {
  /** Tokens of each sequence; their counts are the segments of the packed batch. */
  readonly tokens: readonly (readonly string[])[];
  /** The text of each sequence, where there is one. */
  readonly texts?: readonly string[];
  /** What else is known of each sequence. */
  readonly facts?: readonly SequenceFacts[];
  /** One entry per layer, null where it is dense. */
  readonly routing: readonly (LayerSource | null)[];
}

const LARGEST_F32 = 3.4028234663852886e38;

/** The number a reader sees: nine digits tell all f32 values apart. JSON has no infinity: the largest f32 stands for it. */
function plain(values: Float32Array, where: string): number[] {
  return Array.from(values, (value, row) => {
    if (Number.isFinite(value)) return Number(value.toPrecision(9));
    if (!Number.isNaN(value)) return Math.sign(value) * Number(LARGEST_F32.toPrecision(9));
    throw new EngineError("BAD_INPUT", `${where} of row ${row} is not a number`, {
      where,
      fix: "Look for a NaN in the router's vector or in the hidden states.",
    });
  });
}

/** Rows of a router's numbers that belong to one sequence, and the walk over its selected rows. */
class Cutter {
  readonly #source: SelectionSource;
  readonly #where: string;
  #next = 0;

  constructor(source: SelectionSource, where: string, rows: number) {
    this.#source = source;
    this.#where = where;
    expectRows(source.weights.length, where, rows);
  }

  /** Selected rows ascend, so one walk over the list serves all sequences. */
  cut(from: number, to: number): SelectionTrace {
    const { selected, weights } = this.#source;
    const first = this.#next;
    while (this.#next < selected.length && (selected[this.#next] as number) < to) this.#next += 1;
    return {
      selected: Array.from(selected.subarray(first, this.#next), (row) => row - from),
      weights: plain(weights.subarray(from, to), `${this.#where}.weights`),
    };
  }
}

function expectRows(found: number, where: string, rows: number): void {
  if (found === rows) return;
  throw new EngineError("SHAPE", `${where} has ${found} rows, the tokens are ${rows}`, {
    where,
    fix: "Pass the tokens of exactly the sequences that were run.",
  });
}

/** A function that cuts the rows of one sequence out of a layer. Sequences are to be asked for in their order. */
function layerCutter(
  layer: LayerSource | null,
  where: string,
  rows: number,
): (from: number, to: number) => LayerTrace | null {
  if (layer === null) return () => null;
  const { scores = null, keys = null, part } = layer;
  if (scores !== null) expectRows(scores.length, `${where}.scores`, rows);
  const queries = new Cutter(layer, where, rows);
  const keyCutter = keys === null ? null : new Cutter(keys, `${where}.keys`, rows);
  return (from, to) => ({
    ...queries.cut(from, to),
    scores: scores === null ? null : plain(scores.subarray(from, to), `${where}.scores`),
    ...(part === undefined ? {} : { part }),
    ...(keyCutter === null ? {} : { keys: keyCutter.cut(from, to) }),
  });
}

/**
 * Puts sequences, of one batch or of many, into a trace.
 * @param curve points of a sweep, where there was one
 */
export function traceOf(
  { model, device, settings }: TraceHead,
  layers: number,
  sequences: readonly SequenceTrace[],
  curve?: readonly CurvePoint[],
): RoutingTrace {
  const trace = {
    format: "adapters-webgpu/routing-trace",
    version: 2,
    model,
    device,
    settings,
    layers,
    sequences,
  } as const;
  return curve === undefined ? trace : { ...trace, curve };
}

/**
 * Cuts the routing of a packed batch into sequences.
 * @throws EngineError SHAPE where a layer has another number of rows than there are tokens; BAD_INPUT for a score or λ
 * that is not a number
 * @example
 * const trace = makeTrace({ model, device, settings, tokens: [["[CLS]", "C", "[SEP]"]], routing: out.routing });
 */
export function makeTrace(source: TraceSource): RoutingTrace {
  const { tokens, texts, facts, routing } = source;
  const rows = tokens.reduce((sum, sequence) => sum + sequence.length, 0);
  const cutters = routing.map((layer, index) => layerCutter(layer, `routing[${index}]`, rows));
  let start = 0;
  const sequences = tokens.map((sequence, index): SequenceTrace => {
    const [from, to] = [start, start + sequence.length];
    start = to;
    const text = texts?.[index];
    const named = text === undefined ? {} : { text };
    return { ...named, ...facts?.[index], tokens: sequence, layers: cutters.map((cut) => cut(from, to)) };
  });
  return traceOf(source, routing.length, sequences);
}
