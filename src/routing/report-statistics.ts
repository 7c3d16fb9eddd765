/** @file The numbers of the report, before any of them is drawn. */

import type { RoutingTrace, SequenceTrace } from "./trace.ts";

/** How one sequence was routed. */
export interface SequenceStatistics {
  /** Layers in which the sequence was routed. */
  readonly routed: number;
  /** Per token, the layers in which it took the heavy path; ascending. */
  readonly heavyLayers: readonly (readonly number[])[];
  /** Per token, the mean λ over the routed layers; 0 without any. */
  readonly meanWeights: readonly number[];
}

/** How one layer routed all sequences; tokens is 0 where it is dense. */
export interface LayerStatistics {
  readonly layer: number;
  readonly tokens: number;
  readonly selected: number;
  /** Mean λ of the selected tokens, and of the others; NaN where there are none. */
  readonly selectedWeight: number;
  readonly otherWeight: number;
}

/** How one token of the vocabulary was routed wherever it stood. */
export interface TokenStatistics {
  readonly token: string;
  readonly occurrences: number;
  /** Heavy-path visits over routed layers times occurrences. */
  readonly share: number;
}

/** The numbers of a whole trace. */
export interface TraceStatistics {
  readonly tokens: number;
  readonly layers: readonly LayerStatistics[];
  readonly routedLayers: number;
  /** Share of (token, routed layer) pairs that took the heavy path; NaN without routed layers. */
  readonly heavyShare: number;
  /** Tokens by the number of layers that gave them the heavy path, from 0 to the number of routed layers. */
  readonly histogram: readonly number[];
  /** Every distinct token that was routed at all, most often heavy first. */
  readonly vocabulary: readonly TokenStatistics[];
}

/** Counts a sequence's heavy layers token by token. */
export function sequenceStatistics(sequence: SequenceTrace): SequenceStatistics {
  const heavyLayers: number[][] = sequence.tokens.map(() => []);
  const sums = sequence.tokens.map(() => 0);
  let routed = 0;
  sequence.layers.forEach((layer, index) => {
    if (layer === null) return;
    routed += 1;
    for (const place of layer.selected) heavyLayers[place]?.push(index);
    layer.weights.forEach((weight, place) => {
      sums[place] = (sums[place] ?? 0) + weight;
    });
  });
  return { routed, heavyLayers, meanWeights: sums.map((sum) => (routed === 0 ? 0 : sum / routed)) };
}

function layerStatistics(trace: RoutingTrace, layer: number): LayerStatistics {
  let tokens = 0;
  let selected = 0;
  let allWeight = 0;
  let heavyWeight = 0;
  for (const sequence of trace.sequences) {
    const routed = sequence.layers[layer];
    if (routed === null || routed === undefined) continue;
    tokens += sequence.tokens.length;
    selected += routed.selected.length;
    for (const weight of routed.weights) allWeight += weight;
    for (const place of routed.selected) heavyWeight += routed.weights[place] ?? 0;
  }
  return {
    layer,
    tokens,
    selected,
    selectedWeight: heavyWeight / selected,
    otherWeight: (allWeight - heavyWeight) / (tokens - selected),
  };
}

function vocabularyStatistics(trace: RoutingTrace, all: readonly SequenceStatistics[]): TokenStatistics[] {
  const seen = new Map<string, { occurrences: number; heavy: number; chances: number }>();
  trace.sequences.forEach((sequence, index) => {
    const { routed = 0, heavyLayers = [] } = all[index] ?? {};
    if (routed === 0) return;
    sequence.tokens.forEach((token, place) => {
      const entry = seen.get(token) ?? { occurrences: 0, heavy: 0, chances: 0 };
      entry.occurrences += 1;
      entry.heavy += heavyLayers[place]?.length ?? 0;
      entry.chances += routed;
      seen.set(token, entry);
    });
  });
  return Array.from(seen, ([token, entry]) => ({
    token,
    occurrences: entry.occurrences,
    share: entry.heavy / entry.chances,
  })).sort((a, b) => b.share - a.share || b.occurrences - a.occurrences);
}

/** Counts a whole trace. */
export function traceStatistics(trace: RoutingTrace): TraceStatistics {
  const all = trace.sequences.map(sequenceStatistics);
  const layers = Array.from({ length: trace.layers }, (_, layer) => layerStatistics(trace, layer));
  const most = all.reduce((max, sequence) => Math.max(max, sequence.routed), 0);
  const histogram = Array.from({ length: most + 1 }, () => 0);
  for (const sequence of all) {
    for (const heavy of sequence.heavyLayers) histogram[heavy.length] = (histogram[heavy.length] ?? 0) + 1;
  }
  const chances = layers.reduce((sum, layer) => sum + layer.tokens, 0);
  return {
    tokens: trace.sequences.reduce((sum, sequence) => sum + sequence.tokens.length, 0),
    layers,
    routedLayers: layers.filter((layer) => layer.tokens > 0).length,
    heavyShare: layers.reduce((sum, layer) => sum + layer.selected, 0) / chances,
    histogram,
    vocabulary: vocabularyStatistics(trace, all),
  };
}
