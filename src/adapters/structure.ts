/**
 * @file The structure of an adapter: which function it has at which site. It is the part of an adapter that shapes a
 * graph; weights, widths, activations and scales are slot data (DESIGN §3, Plan).
 */

import type { SubLayer } from "../sites/site.ts";

/** Where a bottleneck stands: after a sub-layer, or around the whole layer (the light path of CoDA). */
export type Place = SubLayer | "layer";

/** Linear maps that are computed side by side in one matrix product. */
export type MapGroup = "qkv" | "proj" | "up" | "down";

/** What of a bottleneck is part of the graph (fields of MATHS §2.1). */
export interface BottleneckStructure {
  /** "layers.3.ffn", or "shared.ffn" where all layers share one set of weights. */
  readonly table: string;
  readonly parallel: boolean;
  /** The host's add and norm before and after the adapter. */
  readonly originalBefore: boolean;
  readonly originalAfter: boolean;
  /** The skip around the bottleneck: the sub-layer output, the adapter's input, or the sum f + h. */
  readonly residual: "output" | "input" | "sum";
  /** Own norms; the affine part of the first is folded into the down-projection. */
  readonly normBefore: boolean;
  readonly normAfter: boolean;
  /** The skip is added inside the second norm. */
  readonly residualInNorm: boolean;
  readonly gate: boolean;
}

/** What of the functions on one matrix product is part of the graph. */
export interface LinearStructure {
  readonly table: string;
  /** LoRA: y + scale · B A x. */
  readonly lora: boolean;
  /** y ⊙ l: IA³ and DoRA; `shift` where a bias stays outside (PEFT's DoRA). */
  readonly scale: boolean;
  readonly shift: boolean;
  /** x ⊙ l before the product: PEFT's IA³ on feed-forward maps. */
  readonly input: boolean;
  /** The change is weighed by a gate per sequence and map. */
  readonly gate: boolean;
}

/** What stands at the sites of one layer. */
export interface LayerStructure {
  readonly bottlenecks: Readonly<Partial<Record<Place, BottleneckStructure>>>;
  readonly linear: Readonly<Partial<Record<MapGroup, LinearStructure>>>;
  /** Gates of a prefix: none, one for keys and values, or one each. Null without a prefix. */
  readonly prefix: { readonly table: string; readonly gates: 0 | 1 | 2 } | null;
}

/** What stands at the embedding. */
export interface EmbeddingStructure {
  /** Where prompt rows enter: before the tokens, after the first one, or as word vectors before them. */
  readonly prompt: "prefix" | "prefix_after_bos" | "words" | null;
  readonly invertible: boolean;
}

/** The structure of an adapter: equal structures build equal graphs. */
export interface AdapterStructure {
  readonly layers: readonly LayerStructure[];
  readonly embedding: EmbeddingStructure;
}

/** A layer at which an adapter has nothing. */
export const EMPTY_LAYER: LayerStructure = { bottlenecks: {}, linear: {}, prefix: null };

/** An embedding at which an adapter has nothing. */
export const NO_EMBEDDING: EmbeddingStructure = { prompt: null, invertible: false };

/** @returns the structure without anything in the layers named (AdapterDrop at inference, MATHS §2.6). */
export function dropLayers(structure: AdapterStructure, dropped: ReadonlySet<number>): AdapterStructure {
  if (dropped.size === 0) return structure;
  const layers = structure.layers.map((layer, index) => (dropped.has(index) ? EMPTY_LAYER : layer));
  return { ...structure, layers };
}

/** @returns true when there is something at a site of the layer. */
export function standsIn(layer: LayerStructure): boolean {
  return layer.prefix !== null || Object.keys(layer.bottlenecks).length > 0 || Object.keys(layer.linear).length > 0;
}
