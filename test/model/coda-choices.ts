/** @file Every router in plain float64, from docs/routing.md and MATHS §1.3 and §1.5: what it selects of one sequence, and λ of every row. */

import { exactTopK, softTopK, topK } from "./coda-float64.ts";
import type { PlainChoice, Rows } from "./coda-float64.ts";

/** What a choice is made with. */
export interface ChoiceSettings {
  readonly layer: number;
  readonly reduction: number;
  /** Trained vectors of the layer, by name. */
  readonly vectors: Readonly<Record<string, ArrayLike<number>>>;
  readonly epsilon: number;
  readonly exact?: boolean;
  /** Every so many rows select by themselves. */
  readonly block?: number;
  readonly seed?: number;
  /** The number that tells the sequence from others. */
  readonly key?: number;
  readonly threshold?: number;
  readonly keyReduction?: number | undefined;
  readonly weighKeys?: boolean;
  /** Places that an oracle names. */
  readonly places?: readonly number[];
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

function learned(x: Rows, vector: ArrayLike<number>): number[] {
  return x.map((row) => row.reduce((sum, v, i) => sum + v * (vector[i] as number), 0));
}

function soft(scores: number[], k: number, { epsilon, exact }: ChoiceSettings): number[] {
  if (exact === true) return exactTopK(scores, k, epsilon);
  return softTopK(scores, k, { epsilon, iterations: 20, start: 4, decay: 0.7 });
}

/** The 32-bit mixer "lowbias32" of C. Wellons' hash prospector. */
function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

/** 24 bits of a hash of seed, layer, sequence and place, as a number in [0, 1). */
function hashed(seed: number, layer: number, key: number, place: number): number {
  return (mix(mix(mix(mix(seed + 0x9e3779b9) ^ layer) ^ key) ^ place) >>> 8) / 2 ** 24;
}

/** The 32-bit FNV-1a hash of 32-bit words. */
export function contentKey(...parts: readonly (Uint32Array | Float32Array)[]): number {
  let bits = 0x811c9dc5;
  for (const { buffer, byteOffset, length } of parts)
    for (const word of new Uint32Array(buffer, byteOffset, length)) bits = Math.imul(bits ^ word, 0x01000193) >>> 0;
  return bits;
}

type Chooser = (x: Rows, k: number, at: ChoiceSettings) => Omit<PlainChoice, "selected"> & { selected?: number[] };

const CHOOSERS: Readonly<Record<string, Chooser>> = {
  learned: (x, k, at) => {
    const scores = learned(x, at.vectors.score as ArrayLike<number>);
    return { scores, weights: soft(scores, k, at) };
  },
  sigmoid: (x, _, at) => {
    const scores = learned(x, at.vectors.score as ArrayLike<number>);
    return { scores, weights: scores.map(sigmoid) };
  },
  "straight-through": (x, _, at) => {
    const scores = learned(x, at.vectors.score as ArrayLike<number>);
    return { scores, weights: scores.map(() => 1) };
  },
  "mixture-of-depths": (x, _, at) => {
    const scores = learned(x, at.vectors.score as ArrayLike<number>);
    return { scores, weights: scores };
  },
  "first-k": (x, k, at) => {
    const weights = soft(learned(x, at.vectors.score as ArrayLike<number>), k, at);
    return { scores: x.map((_, place) => -place), weights };
  },
  truncation: (x) => ({ scores: x.map((_, place) => -place), weights: x.map(() => 1) }),
  // k stretches of n / k rows, each entered at its first whole place.
  strided: (x, k) => {
    const entries = new Set(Array.from({ length: k }, (_, i) => Math.ceil((i * x.length) / k)));
    return { scores: x.map((_, place) => (entries.has(place) ? 1 : 0)), weights: x.map(() => 1) };
  },
  random: (x, _, { seed = 0, layer, key = 0 }) => ({
    scores: x.map((__, place) => hashed(seed, layer, key, place)),
    weights: x.map(() => 1),
  }),
  norm: (x) => ({ scores: x.map((row) => row.reduce((sum, v) => sum + v * v, 0)), weights: x.map(() => 1) }),
  oracle: (x, _, { places = [] }) => ({
    scores: x.map(() => 1),
    weights: x.map(() => 1),
    selected: [...places].sort((a, b) => a - b),
  }),
  threshold: (x, k, at) => {
    const scores = learned(x, at.vectors.score as ArrayLike<number>);
    const above = scores.filter((score) => score > (at.threshold ?? 0)).length;
    return { scores, weights: scores.map(sigmoid), selected: topK(scores, Math.min(k, above)) };
  },
  separate: (x, k, at) => {
    const scores = learned(x, at.vectors.score as ArrayLike<number>);
    const own = learned(x, at.vectors.keys as ArrayLike<number>);
    const count = Math.ceil(x.length / (at.keyReduction ?? at.reduction));
    const keys = {
      scores: own,
      weights: soft(own, count, at),
      selected: topK(own, count),
      weigh: at.weighKeys !== false,
    };
    return { scores, weights: soft(scores, k, at), keys };
  },
};

/** What a router does with the rows of one sequence. */
export function plainChoice(router: string, x: Rows, at: ChoiceSettings): PlainChoice {
  const { block = x.length } = at;
  const pieces = Array.from({ length: Math.ceil(x.length / block) }, (_, index) => {
    const from = index * block;
    const rows = x.slice(from, from + block);
    const k = Math.ceil(rows.length / at.reduction);
    const key = ((at.key ?? 0) ^ Math.imul(index, 0x9e3779b1)) >>> 0;
    const choice = (CHOOSERS[router] as Chooser)(rows, k, { ...at, key });
    const selected = (choice.selected ?? topK(choice.scores, k)).map((place) => place + from);
    return { ...choice, selected };
  });
  const [first] = pieces as [PlainChoice];
  return {
    scores: pieces.flatMap(({ scores }) => scores),
    weights: pieces.flatMap(({ weights }) => weights),
    selected: pieces.flatMap(({ selected }) => selected),
    ...(first.keys === undefined ? {} : { keys: first.keys }),
  };
}
