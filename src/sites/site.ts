/**
 * @file The sites of a host: named places where something may be added (DESIGN §3). Types only, known to hosts, which
 * expose the places, and to adapters, which fill them; neither knows the other.
 */

import type { Value } from "../graph/value.ts";

/** The two sub-layers after which a residual site stands. */
export type SubLayer = "attention" | "ffn";

/** The frozen linear maps of a layer: queries, keys, values, attention output, first and last matrix of the FFN. */
export type LinearMap = "query" | "key" | "value" | "proj" | "up" | "down";

/** All linear maps, in the order in which a layer applies them. */
export const LINEAR_MAPS: readonly LinearMap[] = ["query", "key", "value", "proj", "up", "down"];

/** Rows of a packed batch that a router has selected. */
export interface Selection {
  /** Packed rows, ascending: u32 [k]. */
  readonly rows: Value;
  /** Original positions inside their sequences: u32 [k]. */
  readonly positions: Value;
  /** Offsets of the selected rows of every sequence: u32 [sequences + 1]. */
  readonly segments: Value;
}

/** Where a sub-layer's output meets the residual stream (MATHS §2.3). */
export interface ResidualSite {
  readonly place: SubLayer;
  /** f: output of the sub-layer, [rows, d]. */
  readonly output: Value;
  /** h: the residual stream that entered the sub-layer, [rows, d]. */
  readonly stream: Value;
  /** The host's norm of the sum on post-LN hosts, null on pre-LN hosts. */
  readonly norm: ((x: Value) => Value) | null;
  /** The rows that the layer computes; null for all. */
  readonly selection: Selection | null;
}

/** Columns of a packed matrix product that belong to one linear map. */
export interface MapColumns {
  readonly map: LinearMap;
  readonly first: number;
  readonly count: number;
}

/** One matrix product of a layer, which may hold several linear maps side by side. */
export interface LinearSite {
  readonly maps: readonly MapColumns[];
  /** Input rows [rows, in]. */
  readonly x: Value;
  /** Result with its bias [rows, out], before any activation. */
  readonly y: Value;
  readonly selection: Selection | null;
}

/** The input of a matrix product, before it is applied. */
export type LinearInputSite = Omit<LinearSite, "y">;

/** Keys and values of self-attention, packed side by side. */
export interface KeyValueSite {
  /** What the attention reads: LN1(x) on pre-LN hosts, x on post-LN hosts. */
  readonly input: Value;
  readonly kv: Value;
  /** First columns of keys and values in `kv`, and the width of each. */
  readonly kAt: number;
  readonly vAt: number;
  readonly width: number;
  /** Offsets of every sequence's keys. */
  readonly segments: Value;
  /** Original positions of the keys, where the order is causal and the keys are not all rows: u32 [keys]. */
  readonly positions: Value | undefined;
  readonly causal: boolean;
  /** Scores depend on the distance between query and key. */
  readonly relativeBias: boolean;
  /** The rows that ask; null for all. */
  readonly selection: Selection | null;
  /** The rows that the keys are of; null for all. */
  readonly keySelection: Selection | null;
}

/** Keys and values that attention shall read instead. */
export interface KeysAndValues {
  readonly kv: Value;
  readonly kAt: number;
  readonly vAt: number;
  readonly segments: Value;
  /** Positions of these keys where the order is causal; without them a key's place in its sequence: u32 [keys]. */
  readonly positions: Value | undefined;
}

/** What a model puts at the sites of one layer; a site without a function is the host's own. */
export interface LayerSites {
  /** The stream after the sub-layer, host add and norm included. */
  readonly residual?: (site: ResidualSite) => Value;
  /** The rows that the matrix product reads. */
  readonly input?: (site: LinearInputSite) => Value;
  /** The result of the matrix product. */
  readonly linear?: (site: LinearSite) => Value;
  readonly keysValues?: (site: KeyValueSite) => KeysAndValues;
}

/** What a model puts between the word vectors and the rest of the embedding. */
export interface EmbeddingSite {
  /** Word vectors [rows, width] and their segment table to those that the positions are added to. */
  readonly words: (words: Value, segments: Value) => { words: Value; segments: Value; types: Value };
}

/** Where the weights of a linear map are resident: rows [first, first + count) of a matrix [out, in]. */
export interface MapWeights {
  readonly weight: string;
  readonly bias: string | null;
  readonly first: number;
  readonly count: number;
  readonly inputs: number;
}
