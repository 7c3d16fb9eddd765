/**
 * @file The routing trace: which tokens of which sequences took the heavy path in which layer, as plain JSON that a
 * run writes and that the report, or any other program, reads.
 */

import { EngineError } from "../errors.ts";

/** What one routed layer did with one sequence. */
export interface LayerTrace {
  /** Places in the sequence, from 0, of the tokens that took the heavy path; ascending. */
  readonly selected: readonly number[];
  /** λ of every token, before masking. */
  readonly weights: readonly number[];
  /** The router's score of every token. */
  readonly scores: readonly number[];
}

/** One sequence and what each layer did with it; null where the layer is dense. */
export interface SequenceTrace {
  readonly text?: string;
  readonly tokens: readonly string[];
  readonly layers: readonly (LayerTrace | null)[];
}

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A whole run. Serialise it with `JSON.stringify`, read it back with {@link parseTrace}. */
export interface RoutingTrace {
  readonly format: "adapters-webgpu/routing-trace";
  readonly version: 1;
  readonly model: string;
  readonly device: string;
  /** The routing options of the run. */
  readonly settings: { readonly [key: string]: Json };
  /** Layers of the model, dense ones included. */
  readonly layers: number;
  readonly sequences: readonly SequenceTrace[];
}

/** A run's result from which a trace is made. */
export interface TraceSource {
  readonly model: string;
  readonly device: string;
  readonly settings: { readonly [key: string]: Json };
  /** Tokens of each sequence; their counts are the segments of the packed batch. */
  readonly tokens: readonly (readonly string[])[];
  /** The text of each sequence, where there is one. */
  readonly texts?: readonly string[];
  /** One entry per layer, as `model.run` returns them: rows of the packed batch, λ and score of every row. */
  readonly routing: readonly (null | {
    readonly selected: Uint32Array;
    readonly weights: Float32Array;
    readonly scores: Float32Array;
  })[];
}

/** The number a reader sees: nine digits tell all f32 values apart. */
function plain(values: Float32Array): number[] {
  return Array.from(values, (value) => Number(value.toPrecision(9)));
}

/**
 * Cuts the routing of a packed batch into sequences.
 * @throws EngineError `SHAPE` where a layer has another number of rows than there are tokens.
 * @example
 * const trace = makeTrace({ model, device, settings, tokens: [["[CLS]", "C", "[SEP]"]], routing: out.routing });
 */
export function makeTrace(source: TraceSource): RoutingTrace {
  const { model, device, settings, tokens, texts, routing } = source;
  const rows = tokens.reduce((sum, sequence) => sum + sequence.length, 0);
  routing.forEach((layer, index) => {
    if (layer === null || (layer.weights.length === rows && layer.scores.length === rows)) return;
    throw new EngineError("SHAPE", `layer ${index} routed ${layer.weights.length} rows, the tokens are ${rows}`, {
      where: `routing[${index}]`,
      fix: "Pass the tokens of exactly the sequences that were run.",
    });
  });
  let start = 0;
  // Selected rows ascend, so one walk over each layer's list serves all sequences.
  const cursors = routing.map(() => 0);
  const sequences = tokens.map((sequence, index): SequenceTrace => {
    const [from, to] = [start, start + sequence.length];
    start = to;
    const layers = routing.map((layer, number): LayerTrace | null => {
      if (layer === null) return null;
      const first = cursors[number] ?? 0;
      let last = first;
      while (last < layer.selected.length && (layer.selected[last] ?? 0) < to) last += 1;
      cursors[number] = last;
      return {
        selected: Array.from(layer.selected.subarray(first, last), (row) => row - from),
        weights: plain(layer.weights.subarray(from, to)),
        scores: plain(layer.scores.subarray(from, to)),
      };
    });
    const text = texts?.[index];
    return { ...(text === undefined ? {} : { text }), tokens: sequence, layers };
  });
  return {
    format: "adapters-webgpu/routing-trace",
    version: 1,
    model,
    device,
    settings,
    layers: routing.length,
    sequences,
  };
}

function refuse(where: string, message: string): never {
  throw new EngineError("BAD_FILE", `${where} ${message}`, {
    where,
    fix: "Write the trace again with a run of this version.",
  });
}

function objectAt(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(where, "is not an object");
  return value as Readonly<Record<string, unknown>>;
}

function arrayAt(value: unknown, where: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(where, "is not a list");
}

function stringAt(value: unknown, where: string): string {
  return typeof value === "string" ? value : refuse(where, "is not a string");
}

function numbersAt(value: unknown, length: number, where: string): readonly number[] {
  const list = arrayAt(value, where);
  if (list.length !== length) refuse(where, `has ${list.length} numbers for ${length} tokens`);
  return list.map((item) =>
    Number.isFinite(item) ? (item as number) : refuse(where, "holds something not a finite number"),
  );
}

function placesAt(value: unknown, length: number, where: string): readonly number[] {
  let last = -1;
  return arrayAt(value, where).map((item) => {
    if (!Number.isInteger(item)) refuse(where, "holds something not a whole number");
    const place = item as number;
    if (place <= last) refuse(where, `is not ascending at ${place}`);
    if (place >= length) refuse(where, `names token ${place} of ${length}`);
    last = place;
    return place;
  });
}

function layerAt(value: unknown, length: number, where: string): LayerTrace | null {
  if (value === null) return null;
  const layer = objectAt(value, where);
  return {
    selected: placesAt(layer["selected"], length, `${where}.selected`),
    weights: numbersAt(layer["weights"], length, `${where}.weights`),
    scores: numbersAt(layer["scores"], length, `${where}.scores`),
  };
}

function sequenceAt(value: unknown, layers: number, where: string): SequenceTrace {
  const sequence = objectAt(value, where);
  const tokens = arrayAt(sequence["tokens"], `${where}.tokens`).map((token, i) =>
    stringAt(token, `${where}.tokens[${i}]`),
  );
  const list = arrayAt(sequence["layers"], `${where}.layers`);
  if (list.length !== layers) refuse(`${where}.layers`, `has ${list.length} entries for ${layers} layers`);
  const text = sequence["text"] === undefined ? {} : { text: stringAt(sequence["text"], `${where}.text`) };
  return { ...text, tokens, layers: list.map((layer, i) => layerAt(layer, tokens.length, `${where}.layers[${i}]`)) };
}

/**
 * Reads and checks the JSON text of a trace.
 * @throws EngineError `BAD_FILE` that names the place in the file.
 * @example
 * const page = renderRoutingReport(parseTrace(await readFile("trace.json", "utf8")));
 */
export function parseTrace(json: string): RoutingTrace {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new EngineError("BAD_FILE", "the trace is not JSON", {
      where: "trace",
      fix: "Check that it is complete.",
      cause,
    });
  }
  const trace = objectAt(value, "trace");
  if (trace["format"] !== "adapters-webgpu/routing-trace") refuse("trace.format", "does not name a routing trace");
  if (trace["version"] !== 1) refuse("trace.version", `is ${JSON.stringify(trace["version"])}; version 1 is read here`);
  const layers = trace["layers"];
  if (typeof layers !== "number" || !Number.isInteger(layers) || layers < 0) refuse("trace.layers", "is not a count");
  const sequences = arrayAt(trace["sequences"], "trace.sequences");
  return {
    format: "adapters-webgpu/routing-trace",
    version: 1,
    model: stringAt(trace["model"], "trace.model"),
    device: stringAt(trace["device"], "trace.device"),
    settings: objectAt(trace["settings"], "trace.settings") as { readonly [key: string]: Json },
    layers,
    sequences: sequences.map((sequence, i) => sequenceAt(sequence, layers, `trace.sequences[${i}]`)),
  };
}
