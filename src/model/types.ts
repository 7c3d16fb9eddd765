/** @file What goes into a run and what comes out of it. */

import type { LaunchTime } from "../graph/launch-times.ts";

/** One input of a run: exactly one of the six kinds. */
export interface RunInput {
  /** Token ids, special tokens included. */
  readonly ids?: readonly ArrayLike<number>[];
  /** Token types of `ids`, of the same lengths; default 0. */
  readonly types?: readonly ArrayLike<number>[];
  /** Texts or pairs of texts; special tokens are added. */
  readonly texts?: readonly (string | readonly [string, string])[];
  /** Mono samples in [−1, 1]. */
  readonly audio?: readonly Float32Array[];
  /** Rate of `audio` in hertz; default: the model's. */
  readonly sampleRate?: number;
  /** What to keep of clips that are too long; without it they are refused. */
  readonly crop?: "start" | "center";
  /** Bytes, or floats that are pixels divided by 255, of shape [channels, height, width]. */
  readonly images?: readonly { readonly data: Uint8Array | Float32Array; readonly shape: readonly number[] }[];
  /** Rows that enter before the patch or input projection. */
  readonly features?: readonly { readonly data: Float32Array; readonly shape: readonly number[] }[];
}

/** Whose semantics a composition has: ours, or those of a library. */
export type Compat = "adapters-1.2";

/** What a run may be asked for. */
export interface RunOptions {
  /** One adapter name per sequence, null for none; stands in for what is active. */
  readonly adapters?: readonly (string | null)[];
  /** "adapters-1.2" reproduces the quirks of the `adapters` library, version 1.2 (MATHS §2.5); default: the active one's. */
  readonly compat?: Compat | null;
  /** Names of values to read back. */
  readonly capture?: readonly string[];
  /** Default: hidden, heads, routing. A head with one row per token runs only when named, as "heads.default". */
  readonly outputs?: readonly string[];
  readonly signal?: AbortSignal;
  /** Times every launch on the GPU's clock; slower. */
  readonly profile?: boolean;
}

/** Numbers with a shape; packed rows come with the offsets of their sequences. */
export interface Tensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
  readonly segments?: Uint32Array;
  /** Of a head whose adapter ran on some sequences only: their numbers, in the order of the rows. */
  readonly sequences?: Uint32Array;
}

/** What one router of a layer chose. */
export interface RoutedRows {
  /** Rows of the packed batch that were selected, ascending. */
  readonly selected: Uint32Array;
  /** λ of every row, before masking. */
  readonly weights: Float32Array;
  readonly scores: Float32Array;
}

/** What the router of one layer did: its rows took the heavy path. */
export interface LayerRouting extends RoutedRows {
  /** Rows of which keys and values were made, where they had a router of their own. */
  readonly keys?: RoutedRows;
  /** false where no trained vectors were given. */
  readonly trained: boolean;
}

/** The result of a run. */
export interface RunOutput {
  readonly hidden?: Tensor;
  readonly heads: Readonly<Record<string, Tensor>>;
  readonly captures: Readonly<Record<string, Tensor | readonly Tensor[]>>;
  readonly routing: readonly (LayerRouting | null)[] | null;
  readonly timing: {
    /** On the GPU's clock; null where it has none. */
    readonly gpu: number | null;
    readonly wall: number;
    readonly launches?: readonly LaunchTime[];
  };
}

/** What loading found. */
export interface LoadReport {
  readonly file: string;
  /** Tensors of the checkpoint that are used, and those rightly left alone with the reason. */
  readonly matched: number;
  readonly ignored: readonly { readonly tensor: string; readonly reason: string }[];
  /** Bytes of the resident weights. */
  readonly bytes: number;
  readonly notes: readonly string[];
}
