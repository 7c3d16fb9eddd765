/**
 * @file What every frozen architecture offers: its shape, the tensors it needs, and builders of its embedding, layers
 * and heads. A host knows neither adapters nor routers: it computes the rows it is asked for and names its sites.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import type { Dim } from "../ops/op.ts";
import type { EmbeddingSite, LayerSites, LinearMap, MapWeights, Selection } from "../sites/site.ts";

/** Numbers that describe a host. */
export interface HostShape {
  readonly family: string;
  /** Hidden width d. */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly ffnWidth: number;
  /** The feed-forward part has a third matrix, its gate. */
  readonly gated?: true;
  readonly normPosition: "pre" | "post";
  readonly causal: boolean;
  /** Longest sequence in tokens (class tokens included). */
  readonly maxTokens: number;
  readonly input: HostInput;
}

/** What a host reads. */
export type HostInput =
  | { readonly kind: "ids"; readonly vocabulary: number; readonly types: number }
  | {
      readonly kind: "audio";
      readonly sampleRate: number;
      readonly samples: number;
      /** Rows and width of the features that may be given instead of samples. */
      readonly frames: number;
      readonly featureWidth: number;
    }
  | {
      readonly kind: "image";
      readonly channels: number;
      /** In pixels. */
      readonly height: number;
      readonly width: number;
      /** Height and width of a patch. */
      readonly patch: readonly [number, number];
      /** Patches of an image and values of each: rows and width of the features that may be given instead. */
      readonly patches: number;
      readonly featureWidth: number;
      /** A learned row stands before those of the patches. */
      readonly classToken: boolean;
      /** Per channel: (v − mean) / std of pixels in [0, 1] is what the patches hold. */
      readonly mean: readonly number[];
      readonly std: readonly number[];
    };

/** One tensor of a checkpoint, with the shape it must have there. */
export interface WeightPart {
  readonly tensor: string;
  readonly shape: readonly number[];
  /** Stored [in, out] (Conv1D) and wanted [out, in]. */
  readonly transpose?: boolean;
}

/** A resident parameter made of one or several checkpoint tensors, joined along their first axis. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly parts: readonly WeightPart[];
  /** Matrices and tables may be stored in half precision; vectors never are. */
  readonly kind: "matrix" | "table" | "vector";
  /** Part of a layer norm: a task may bring its own. */
  readonly norm?: true;
  /** Computed once and for all, and not learned: never drawn, never trained. */
  readonly constant?: true;
}

/** Tensors of a checkpoint that are rightly left alone. */
export interface IgnoredTensors {
  readonly pattern: RegExp;
  readonly reason: "buffer" | "tied copy" | "head of another task" | "decoder: this engine runs the encoder";
}

/** Rows that keys and values are made of, where they are not those that ask: a selection of their own. */
export interface KeyRows {
  readonly selection: Selection;
  /** What is done to these rows before they are projected. */
  readonly change?: (rows: Value) => Value;
}

/** Which rows are computed: all of them, or a selection with keys from the selection, from all rows, or from another one. */
export type LayerRows =
  | { readonly selection: null }
  | { readonly selection: Selection; readonly keys: "selected" | "all" | KeyRows };

/** The heavy path over the rows asked for. */
export interface HeavyPath {
  /** The stream after the frozen part for these rows: [rows, d]. */
  readonly output: Value;
  /** Output minus input, formed without that subtraction where the architecture allows it. */
  readonly delta: () => Value;
}

/** A frozen part in two steps, because a router must see its input before the rows of the heavy path are known. */
export interface HostPart {
  /** What routers and light paths read: the norm of the stream on pre-LN hosts, the stream itself on post-LN hosts (MATHS §1.2). */
  readonly siteInput: Value;
  readonly heavy: (rows: LayerRows) => HeavyPath;
}

/** A layer, as a whole and in its two sub-layers. */
export interface HostLayer extends HostPart {
  /** Self-attention with its add and norm. */
  readonly attention: HostPart;
  /** The feed-forward part over the stream of all rows after attention; keys play no part. */
  readonly ffn: (h: Value) => HostPart;
}

/** Hidden states with the table of their sequences. */
export interface Stream {
  readonly hidden: Value;
  readonly segments: Value;
}

/** In a training step x with some elements left out, by the name of the place; x itself everywhere else. */
export type LeaveOut = (x: Value, place: string) => Value;

/** The checkpoint's own head. */
export interface HostHead {
  /** "token": one row of logits per token, run only when named; "sequence": one per sequence. */
  readonly rows: "token" | "sequence";
  readonly labels: number;
  /** `sequences` is the run-time number of sequences. `leave` goes around what a classifier reads. */
  readonly build: (b: GraphBuilder, stream: Stream, sequences: Dim, leave: LeaveOut) => Value;
}

/** The lengths of a batch, as a host needs them to fill its own run-time inputs. */
export interface BatchLengths {
  readonly source: "ids" | "audio" | "features";
  /** Hidden rows of every sequence, class tokens included. */
  readonly rows: readonly number[];
}

/** Run-time inputs that follow from the lengths alone, and the run-time sizes they bring. */
export interface HostFeed {
  readonly inputs: Readonly<Record<string, Uint32Array>>;
  readonly sizes: Readonly<Record<string, number>>;
}

/** Rates at which a checkpoint was trained to leave elements out. */
export interface HostDropout {
  /** Of attention probabilities. */
  readonly attention: number;
  /** Of what heads read. */
  readonly head: number;
}

/** A frozen architecture, bound to one configuration. */
export interface Host {
  readonly shape: HostShape;
  /** Of its configuration; absent where nothing is known of it. */
  readonly dropout?: HostDropout;
  readonly weights: readonly WeightSpec[];
  readonly ignored: readonly IgnoredTensors[];
  /** From run-time inputs to the first hidden states. `source` says which of the host's inputs are given. */
  readonly embed: (b: GraphBuilder, source: "ids" | "audio" | "features", site?: EmbeddingSite) => Stream;
  /** Layer `index` over the rows of `stream`, with what stands at its sites. */
  readonly layer: (b: GraphBuilder, index: number, stream: Stream, sites: LayerSites) => HostLayer;
  /** Where a layer's linear maps are resident. Layers that share weights name the same ones. */
  readonly map: (index: number, map: LinearMap) => MapWeights;
  /** The final norm, if there is one. */
  readonly finish: (b: GraphBuilder, x: Value) => Value;
  readonly head: HostHead | null;
  /** The pooled first token of every sequence [sequences, d], where the checkpoint brings a pooler. */
  readonly pooler?: (b: GraphBuilder, stream: Stream, sequences: Dim) => Value;
  /** Integer tensors of the checkpoint that stay on the host: tables that {@link feed} reads. */
  readonly tables?: readonly WeightPart[];
  /** Fills run-time inputs of the host's own; absent where ids and segments are all it reads. */
  readonly feed?: (lengths: BatchLengths, tables: ReadonlyMap<string, Uint32Array>) => HostFeed;
}

/** What a host is made from: its configuration and the names that the checkpoint holds. */
export interface HostSource {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlySet<string>;
  /** Their shapes, where they are known: a host may read from them what the configuration leaves out. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
}
