/** @file Numbers of a whole trace: load and λ of every layer, overlap between layers, kept share by token type, accuracy. */

import { tokenType } from "./trace-token-types.ts";
import type { LayerTrace, RoutingTrace, SequenceTrace } from "./trace-types.ts";

/** How one layer routed all sequences. */
export interface LayerLoad {
  /** Tokens that the layer routed, and those of them that took the heavy path. */
  readonly tokens: number;
  readonly selected: number;
  /** selected over tokens; NaN without tokens. */
  readonly share: number;
  /** The smallest and the largest share of one sequence that is not empty; NaN without any. */
  readonly least: number;
  readonly most: number;
  /** Mean λ of the selected tokens, and of the others; NaN where there are none. */
  readonly selectedWeight: number;
  readonly otherWeight: number;
  /** Tokens that a second router chose as keys; null without one. */
  readonly keys: number | null;
}

function routedIn(trace: RoutingTrace, layer: number): { sequence: SequenceTrace; routed: LayerTrace }[] {
  return trace.sequences.flatMap((sequence) => {
    const routed = sequence.layers[layer] ?? null;
    return routed === null ? [] : [{ sequence, routed }];
  });
}

function loadOf(trace: RoutingTrace, layer: number): LayerLoad | null {
  const entries = routedIn(trace, layer);
  if (entries.length === 0) return null;
  let [tokens, selected, allWeight, heavyWeight, least, most] = [0, 0, 0, 0, NaN, NaN];
  let keys: number | null = null;
  for (const { sequence, routed } of entries) {
    const count = sequence.tokens.length;
    tokens += count;
    selected += routed.selected.length;
    if (routed.keys !== undefined) keys = (keys ?? 0) + routed.keys.selected.length;
    for (const weight of routed.weights) allWeight += weight;
    for (const place of routed.selected) heavyWeight += routed.weights[place] ?? 0;
    if (count === 0) continue;
    const share = routed.selected.length / count;
    least = Number.isNaN(least) ? share : Math.min(least, share);
    most = Number.isNaN(most) ? share : Math.max(most, share);
  }
  return {
    tokens,
    selected,
    share: selected / tokens,
    least,
    most,
    selectedWeight: heavyWeight / selected,
    otherWeight: (allWeight - heavyWeight) / (tokens - selected),
    keys,
  };
}

/** @returns the load of every layer, null where it is dense in all sequences. */
export function layerLoad(trace: RoutingTrace): (LayerLoad | null)[] {
  return Array.from({ length: trace.layers }, (_, layer) => loadOf(trace, layer));
}

/** Two ascending lists: how many they share. */
function shared(a: readonly number[], b: readonly number[]): number {
  let [i, j, count] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const [first, second] = [a[i] as number, b[j] as number];
    if (first === second) count += 1;
    if (first <= second) i += 1;
    if (second <= first) j += 1;
  }
  return count;
}

/** Mean of a measure of two layers over the sequences that both routed; null where there is none. */
function meanOverPairs(
  trace: RoutingTrace,
  measure: (a: readonly number[], b: readonly number[], tokens: number) => number,
): (number | null)[][] {
  const matrix: (number | null)[][] = [];
  for (let row = 0; row < trace.layers; row += 1) {
    // Measures are symmetric: what is left of the diagonal has been computed.
    const known = matrix.map((above) => above[row] ?? null);
    const rest = Array.from({ length: trace.layers - row }, (_, ahead) => {
      let [sum, count] = [0, 0];
      for (const { tokens, layers } of trace.sequences) {
        const [a, b] = [layers[row] ?? null, layers[row + ahead] ?? null];
        if (a === null || b === null || tokens.length === 0) continue;
        sum += measure(a.selected, b.selected, tokens.length);
        count += 1;
      }
      return count === 0 ? null : sum / count;
    });
    matrix.push([...known, ...rest]);
  }
  return matrix;
}

/**
 * How much two layers agree on the tokens that matter: the Jaccard index |A ∩ B| / |A ∪ B| of the sets A and B that they
 * selected in one sequence (1 where both are empty, for they are equal), as the mean over the sequences that both layers
 * routed and that are not empty, each sequence counting once whatever its length.
 * @returns a symmetric matrix [layers][layers]; null where one of the layers is dense; 1 on the diagonal
 */
export function overlap(trace: RoutingTrace): (number | null)[][] {
  return meanOverPairs(trace, (a, b) => {
    const both = shared(a, b);
    const either = a.length + b.length - both;
    return either === 0 ? 1 : both / either;
  });
}

/**
 * The overlap that layers with the same counts would have if each chose at random: |A||B|/n common tokens in the mean.
 * A value above it means that layers agree more than chance explains.
 * @returns the mean over the pairs of different layers; null without a pair
 */
export function overlapByChance(trace: RoutingTrace): number | null {
  const expected = meanOverPairs(trace, (a, b, tokens) => {
    const both = (a.length * b.length) / tokens;
    const either = a.length + b.length - both;
    return either === 0 ? 1 : both / either;
  });
  const pairs = expected.flatMap((row, i) => row.filter((value, j): value is number => j > i && value !== null));
  return pairs.length === 0 ? null : pairs.reduce((sum, value) => sum + value, 0) / pairs.length;
}

/** How tokens of one type were routed. */
export interface TypeLoad {
  readonly type: string;
  /** Tokens of this type that were routed at all. */
  readonly tokens: number;
  /** Heavy-path visits over routed layers times tokens. */
  readonly share: number;
  /** The share in every layer; null where none of them was routed there. */
  readonly layers: readonly (number | null)[];
}

/** Kept share by token type; the types of a sequence where it has them, else those of {@link tokenType}. Most tokens first. */
export function typeLoads(trace: RoutingTrace): TypeLoad[] {
  interface Sum {
    tokens: number;
    readonly chances: number[];
    readonly visits: number[];
  }
  const sums = new Map<string, Sum>();
  const zeros = (): number[] => Array.from({ length: trace.layers }, () => 0);
  for (const { tokens, types, layers } of trace.sequences) {
    if (layers.every((layer) => layer === null)) continue;
    const own = tokens.map((token, place): Sum => {
      const type = types?.[place] ?? tokenType(token);
      const sum = sums.get(type) ?? { tokens: 0, chances: zeros(), visits: zeros() };
      sums.set(type, sum);
      sum.tokens += 1;
      return sum;
    });
    layers.forEach((layer, index) => {
      if (layer === null) return;
      for (const sum of own) (sum.chances[index] as number) += 1;
      for (const place of layer.selected) ((own[place] as Sum).visits[index] as number) += 1;
    });
  }
  const total = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0);
  return Array.from(sums, ([type, { tokens, chances, visits }]) => ({
    type,
    tokens,
    share: total(visits) / total(chances),
    layers: chances.map((chance, layer) => (chance === 0 ? null : (visits[layer] as number) / chance)),
  })).sort((a, b) => b.tokens - a.tokens || (a.type < b.type ? -1 : 1));
}

/** @returns right answers and labelled sequences; null where no sequence has both a label and a prediction. */
export function accuracy(trace: RoutingTrace): { readonly right: number; readonly of: number } | null {
  const answered = trace.sequences.filter(({ label, predicted }) => label !== undefined && predicted !== undefined);
  if (answered.length === 0) return null;
  return { right: answered.filter(({ label, predicted }) => label === predicted).length, of: answered.length };
}
