/** @file The numbers of the report that are about tokens and sequences, before any of them is drawn. */

import { layerLoad } from "./trace-measures.ts";
import type { LayerLoad } from "./trace-measures.ts";
import type { LayerTrace, RoutingTrace, SequenceTrace } from "./trace-types.ts";

/** How one sequence was routed. */
export interface SequenceStatistics {
  /** Layers in which the sequence was routed. */
  readonly routed: number;
  /** Per token, the layers in which it took the heavy path; ascending. */
  readonly heavyLayers: readonly (readonly number[])[];
  /** Per token, the mean λ over the routed layers; 0 without any. */
  readonly meanWeights: readonly number[];
}

/** How one token of the vocabulary was routed wherever it stood. */
export interface TokenStatistics {
  readonly token: string;
  readonly occurrences: number;
  /** Heavy-path visits over routed layers times occurrences. */
  readonly share: number;
}

/** Scores of one layer, sorted into equally wide bins. */
export interface ScoreHistogram {
  readonly layer: number;
  /** Edges of the first and the last bin: the smallest and the largest score. */
  readonly low: number;
  readonly high: number;
  /** Tokens per bin that took the heavy path, and that did not. */
  readonly selected: readonly number[];
  readonly others: readonly number[];
  /**
   * The smallest selected score, which is the k-th largest for routers that select by score: the median over the sequences, null
   * where nothing was selected or where selection does not follow the scores (a token left out scored higher).
   */
  readonly threshold: number | null;
}

/** The numbers of a whole trace. */
export interface TraceStatistics {
  readonly tokens: number;
  /** Null where a layer is dense. */
  readonly layers: readonly (LayerLoad | null)[];
  readonly routedLayers: number;
  /** Share of (token, routed layer) pairs that took the heavy path; NaN without routed layers. */
  readonly heavyShare: number;
  /** Tokens by the number of layers that gave them the heavy path, from 0 to the number of routed layers. */
  readonly histogram: readonly number[];
  /** Every distinct token that was routed at all, most often heavy first. */
  readonly vocabulary: readonly TokenStatistics[];
  /** Layers whose routers score. */
  readonly scores: readonly ScoreHistogram[];
  /** The λ that gets the strongest colour: 1, or the largest one where a router's λ is not bounded. */
  readonly weightScale: number;
}

/** Bins of a histogram of scores. */
const BINS = 24;

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

type Scored = LayerTrace & { readonly scores: readonly number[] };

function scoredIn(trace: RoutingTrace, layer: number): Scored[] {
  return trace.sequences.flatMap(({ layers }) => {
    const routed = layers[layer] ?? null;
    return routed === null || routed.scores === null || routed.scores.length === 0 ? [] : [routed as Scored];
  });
}

/** The smallest selected score of one sequence; null where a token with a larger one was left out. */
function thresholdOf({ scores, selected }: Scored): number | null {
  const chosen = new Set(selected);
  let [least, largestOther] = [Infinity, -Infinity];
  scores.forEach((score, place) => {
    if (chosen.has(place)) least = Math.min(least, score);
    else largestOther = Math.max(largestOther, score);
  });
  return Number.isFinite(least) && largestOther <= least ? least : null;
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return null;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function scoreHistogram(trace: RoutingTrace, layer: number): ScoreHistogram | null {
  const entries = scoredIn(trace, layer);
  let [low, high] = [Infinity, -Infinity];
  for (const { scores } of entries)
    for (const score of scores) [low, high] = [Math.min(low, score), Math.max(high, score)];
  if (low > high) return null;
  const [selected, others] = [0, 1].map(() => Array.from({ length: BINS }, () => 0)) as [number[], number[]];
  // Halves first: the distance between the largest floats of both signs is infinite.
  const place = (score: number): number =>
    high === low ? 0 : Math.min(BINS - 1, Math.floor((BINS * (score / 2 - low / 2)) / (high / 2 - low / 2)));
  for (const { scores, selected: chosen } of entries) {
    for (const score of scores) (others[place(score)] as number) += 1;
    for (const token of chosen) {
      const bin = place(scores[token] ?? low);
      (selected[bin] as number) += 1;
      (others[bin] as number) -= 1;
    }
  }
  const thresholds = entries.map(thresholdOf);
  const known = thresholds.filter((value) => value !== null);
  return { layer, low, high, selected, others, threshold: known.length < thresholds.length ? null : median(known) };
}

function largestWeight(trace: RoutingTrace): number {
  let largest = 1;
  for (const { layers } of trace.sequences)
    for (const layer of layers) for (const weight of layer?.weights ?? []) largest = Math.max(largest, weight);
  return largest;
}

/** Counts a whole trace. */
export function traceStatistics(trace: RoutingTrace): TraceStatistics {
  const all = trace.sequences.map(sequenceStatistics);
  const layers = layerLoad(trace);
  const most = all.reduce((max, sequence) => Math.max(max, sequence.routed), 0);
  const histogram = Array.from({ length: most + 1 }, () => 0);
  for (const sequence of all) {
    for (const heavy of sequence.heavyLayers) histogram[heavy.length] = (histogram[heavy.length] ?? 0) + 1;
  }
  const sum = (field: "tokens" | "selected"): number =>
    layers.reduce((total, layer) => total + (layer?.[field] ?? 0), 0);
  return {
    tokens: trace.sequences.reduce((total, sequence) => total + sequence.tokens.length, 0),
    layers,
    routedLayers: layers.filter((layer) => layer !== null && layer.tokens > 0).length,
    heavyShare: sum("selected") / sum("tokens"),
    histogram,
    vocabulary: vocabularyStatistics(trace, all),
    scores: layers.flatMap((_, layer) => scoreHistogram(trace, layer) ?? []),
    weightScale: largestWeight(trace),
  };
}
