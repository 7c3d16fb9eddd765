/** @file The routing trace as data, version 2; docs/routing-report.md describes the file field by field. */

import type { RoutedPart } from "./coda.ts";

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What one router did with one sequence. */
export interface SelectionTrace {
  /** Places in the sequence, from 0, of the tokens that were chosen; ascending. */
  readonly selected: readonly number[];
  /** λ of every token, before masking. */
  readonly weights: readonly number[];
}

/** What one routed layer did with one sequence. */
export interface LayerTrace extends SelectionTrace {
  /** The router's score of every token; null for routers that score nothing, such as a fixed list of places. */
  readonly scores: readonly number[] | null;
  /** Absent: the whole layer. */
  readonly part?: RoutedPart;
  /** The choice of a second router for keys and values (CoLT5); absent where keys follow the attention's rule. */
  readonly keys?: SelectionTrace;
}

/** The sound of a sequence, drawn above its tokens. */
export interface AudioTrace {
  readonly seconds: number;
  /** Lowest and highest sample, in −1 … 1, of equally long stretches. */
  readonly envelope: readonly (readonly [number, number])[];
  /** The last so many tokens divide the sound evenly; what stands before them (a class token) has no place in it. */
  readonly frames: number;
}

/** The picture of a sequence, drawn under its patches. */
export interface ImageTrace {
  readonly width: number;
  readonly height: number;
  /** 1: grey; 3: red, green, blue. */
  readonly channels: 1 | 3;
  /** Bytes in base64, row by row, the channels of a pixel side by side. */
  readonly pixels: string;
  /** Side of a square patch. The last tokens are the patches, row by row; a class token stands before them. */
  readonly patch: number;
}

/** What is known of a sequence besides its routing. */
export interface SequenceFacts {
  readonly text?: string;
  /** The kind of every token, in any words; derived from the tokens where absent. */
  readonly types?: readonly string[];
  /** The right answer, and the model's. */
  readonly label?: string;
  readonly predicted?: string;
  readonly audio?: AudioTrace;
  readonly image?: ImageTrace;
}

/** One sequence and what each layer did with it; null where the layer is dense. */
export interface SequenceTrace extends SequenceFacts {
  readonly tokens: readonly string[];
  readonly layers: readonly (LayerTrace | null)[];
}

/** One measured point of a sweep. */
export interface CurvePoint {
  /** r of k = ceil(n / r). */
  readonly reduction: number;
  readonly router: string;
  readonly attention: string;
  /** What `value` is, in words: accuracy, exact match, … */
  readonly metric: string;
  readonly value: number;
  /** Time of the pass; null where it was not taken. */
  readonly milliseconds: number | null;
  /** Time of the dense pass over this one's; null where it was not taken. */
  readonly speedUp: number | null;
}

/** A whole run. Serialise it with `JSON.stringify`, read it back with `parseTrace`. */
export interface RoutingTrace {
  readonly format: "adapters-webgpu/routing-trace";
  readonly version: 2;
  readonly model: string;
  readonly device: string;
  /** The routing options of the run. */
  readonly settings: { readonly [key: string]: Json };
  /** Layers of the model, dense ones included. */
  readonly layers: number;
  readonly sequences: readonly SequenceTrace[];
  /** Quality and time against r, where runs with several r were made. */
  readonly curve?: readonly CurvePoint[];
}
