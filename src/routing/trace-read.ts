/** @file Reads and checks the JSON text of a routing trace, of version 1 or 2: a trace is an untrusted file. */

import { EngineError } from "../errors.ts";
import type { RoutedPart } from "./coda.ts";
import { imageFaults } from "./trace-media.ts";
import type {
  AudioTrace,
  CurvePoint,
  ImageTrace,
  Json,
  LayerTrace,
  RoutingTrace,
  SelectionTrace,
  SequenceFacts,
  SequenceTrace,
} from "./trace-types.ts";

type Fields = Readonly<Record<string, unknown>>;

const PARTS: readonly unknown[] = ["layer", "attention", "ffn"] satisfies readonly RoutedPart[];

function refuse(where: string, message: string): never {
  throw new EngineError("BAD_FILE", `${where} ${message}`, {
    where,
    fix: "Write the trace again with a run of this version.",
  });
}

function objectAt(value: unknown, where: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(where, "is not an object");
  return value as Fields;
}

function arrayAt(value: unknown, where: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(where, "is not a list");
}

function stringAt(value: unknown, where: string): string {
  return typeof value === "string" ? value : refuse(where, "is not a string");
}

function numberAt(value: unknown, where: string): number {
  return Number.isFinite(value) ? (value as number) : refuse(where, "is not a finite number");
}

function countAt(value: unknown, where: string, least = 0): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  return refuse(where, least === 0 ? "is not a count" : `is not a whole number from ${least}`);
}

function stringsAt(value: unknown, where: string): readonly string[] {
  return arrayAt(value, where).map((item, i) => stringAt(item, `${where}[${i}]`));
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

/** Reads a field that may be left away. */
function optional<K extends string, T>(
  fields: Fields,
  key: K,
  where: string,
  read: (value: unknown, where: string) => T,
): { readonly [P in K]?: T } {
  if (fields[key] === undefined) return {};
  return { [key]: read(fields[key], `${where}.${key}`) } as { readonly [P in K]?: T };
}

function selectionAt(value: unknown, length: number, where: string): SelectionTrace {
  const fields = objectAt(value, where);
  return {
    selected: placesAt(fields["selected"], length, `${where}.selected`),
    weights: numbersAt(fields["weights"], length, `${where}.weights`),
  };
}

function partAt(value: unknown, where: string): RoutedPart {
  return PARTS.includes(value) ? (value as RoutedPart) : refuse(where, `is not one of ${PARTS.join(", ")}`);
}

function layerAt(value: unknown, length: number, where: string): LayerTrace | null {
  if (value === null) return null;
  const layer = objectAt(value, where);
  const scores = layer["scores"];
  return {
    ...selectionAt(layer, length, where),
    scores: scores === null ? null : numbersAt(scores, length, `${where}.scores`),
    ...optional(layer, "part", where, partAt),
    ...optional(layer, "keys", where, (keys, at) => selectionAt(keys, length, at)),
  };
}

function audioAt(value: unknown, tokens: number, where: string): AudioTrace {
  const fields = objectAt(value, where);
  const seconds = numberAt(fields["seconds"], `${where}.seconds`);
  if (seconds <= 0) refuse(`${where}.seconds`, "is not above 0");
  const frames = countAt(fields["frames"], `${where}.frames`, 1);
  if (frames > tokens) refuse(`${where}.frames`, `is ${frames} for ${tokens} tokens`);
  const envelope = arrayAt(fields["envelope"], `${where}.envelope`).map((item, i): readonly [number, number] => {
    const at = `${where}.envelope[${i}]`;
    const pair = arrayAt(item, at);
    if (pair.length !== 2) refuse(at, "is not a pair");
    const [low, high] = [numberAt(pair[0], at), numberAt(pair[1], at)];
    return low <= high ? [low, high] : refuse(at, "has its lowest sample above its highest");
  });
  return { seconds, envelope, frames };
}

function imageAt(value: unknown, tokens: number, where: string): ImageTrace {
  const fields = objectAt(value, where);
  const whole = (key: string): number => countAt(fields[key], `${where}.${key}`, 1);
  const image = {
    width: whole("width"),
    height: whole("height"),
    channels: whole("channels"),
    pixels: stringAt(fields["pixels"], `${where}.pixels`),
    patch: whole("patch"),
  };
  const fault = imageFaults(image, tokens)[0];
  if (fault !== undefined) refuse(`${where}.${fault.field}`, fault.problem);
  return image as ImageTrace;
}

/** A label is a word or a number; numbers become words. */
function labelAt(value: unknown, where: string): string {
  return typeof value === "number" ? String(numberAt(value, where)) : stringAt(value, where);
}

function factsAt(sequence: Fields, tokens: number, where: string): SequenceFacts {
  const types = optional(sequence, "types", where, stringsAt);
  if (types.types !== undefined && types.types.length !== tokens)
    refuse(`${where}.types`, `has ${types.types.length} entries for ${tokens} tokens`);
  return {
    ...optional(sequence, "text", where, stringAt),
    ...types,
    ...optional(sequence, "label", where, labelAt),
    ...optional(sequence, "predicted", where, labelAt),
    ...optional(sequence, "audio", where, (value, at) => audioAt(value, tokens, at)),
    ...optional(sequence, "image", where, (value, at) => imageAt(value, tokens, at)),
  };
}

function sequenceAt(value: unknown, layers: number, where: string): SequenceTrace {
  const sequence = objectAt(value, where);
  const tokens = stringsAt(sequence["tokens"], `${where}.tokens`);
  const list = arrayAt(sequence["layers"], `${where}.layers`);
  if (list.length !== layers) refuse(`${where}.layers`, `has ${list.length} entries for ${layers} layers`);
  return {
    ...factsAt(sequence, tokens.length, where),
    tokens,
    layers: list.map((layer, i) => layerAt(layer, tokens.length, `${where}.layers[${i}]`)),
  };
}

function pointAt(value: unknown, where: string): CurvePoint {
  const fields = objectAt(value, where);
  const time = (key: string): number | null =>
    fields[key] === null || fields[key] === undefined ? null : numberAt(fields[key], `${where}.${key}`);
  const reduction = numberAt(fields["reduction"], `${where}.reduction`);
  if (reduction < 1) refuse(`${where}.reduction`, "is below 1");
  return {
    reduction,
    router: stringAt(fields["router"], `${where}.router`),
    attention: stringAt(fields["attention"], `${where}.attention`),
    metric: stringAt(fields["metric"], `${where}.metric`),
    value: numberAt(fields["value"], `${where}.value`),
    milliseconds: time("milliseconds"),
    speedUp: time("speedUp"),
  };
}

/** What a trace is of: the model's folder or name, and its layers. */
export type TracedModel = Pick<RoutingTrace, "model" | "layers">;

/**
 * Makes sure that a trace was taken on the model at hand, before anything is drawn or compared.
 * @throws EngineError BAD_INPUT that names the trace's model and the one expected, with their layers
 * @example expectTraceOf(trace, { model: "models/bert", layers: 12 });
 */
export function expectTraceOf(trace: TracedModel, expected: TracedModel): void {
  if (trace.model === expected.model && trace.layers === expected.layers) return;
  const name = ({ model, layers }: TracedModel): string =>
    `${JSON.stringify(model)} (${layers} ${layers === 1 ? "layer" : "layers"})`;
  throw new EngineError("BAD_INPUT", `the trace is of ${name(trace)}, not of ${name(expected)}`, {
    where: "trace.model",
    fix: "Take the trace that a run of this model wrote, or run it again.",
  });
}

/** More than any model has. Every pair of layers is compared, and where there are no sequences, nothing else in the file bears the count out. */
const MOST_LAYERS = 1024;

function layersAt(value: unknown, where: string): number {
  const layers = countAt(value, where);
  return layers <= MOST_LAYERS ? layers : refuse(where, `is ${layers}; models of up to ${MOST_LAYERS} layers are read`);
}

/**
 * Reads and checks the JSON text of a trace, of version 1 or 2.
 * @param expected the model that the trace must be of; any without it
 * @returns the trace in the form of version 2
 * @throws EngineError BAD_FILE that names the place in the file; BAD_INPUT for a trace of another model, as {@link expectTraceOf}
 * @example
 * const trace = parseTrace(await readFile("trace.json", "utf8"), { model: "models/bert", layers: 12 });
 */
export function parseTrace(json: string, expected?: TracedModel): RoutingTrace {
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
  const { format, version } = trace;
  if (format !== "adapters-webgpu/routing-trace") refuse("trace.format", "does not name a routing trace");
  // Version 1 is version 2 without its optional fields.
  if (version !== 1 && version !== 2)
    refuse("trace.version", `is ${JSON.stringify(version)}; versions 1 and 2 are read here`);
  const [model, layers] = [stringAt(trace["model"], "trace.model"), layersAt(trace["layers"], "trace.layers")];
  if (expected !== undefined) expectTraceOf({ model, layers }, expected);
  const sequences = arrayAt(trace["sequences"], "trace.sequences");
  return {
    format,
    version: 2,
    model,
    device: stringAt(trace["device"], "trace.device"),
    settings: objectAt(trace["settings"], "trace.settings") as { readonly [key: string]: Json },
    layers,
    sequences: sequences.map((sequence, i) => sequenceAt(sequence, layers, `trace.sequences[${i}]`)),
    ...optional(trace, "curve", "trace", (points, at) =>
      arrayAt(points, at).map((point, i) => pointAt(point, `${at}[${i}]`)),
    ),
  };
}
