/** @file AdapterFusion in float64 as MATHS §2.4 writes it, nothing folded, on random weights; and how far f32 may be from it. */

import type { FusedAdapter, FusionShape } from "../../src/adapters/fusion-fold.ts";
import type { UnfoldedWeights } from "../../src/adapters/fusion-build.ts";
import { toleranceFor } from "../../src/cases/case.ts";
import { activationCodes } from "../../src/ops/activation.ts";
import { normal } from "../../src/random.ts";
import { activate } from "../../src/reference/activation.ts";
import { dot } from "../../src/reference/rows.ts";

/** What a fusion is tried on. */
export interface Setting {
  readonly shape: FusionShape;
  /** Bottleneck and activation of every adapter, its state and scale. */
  readonly adapters: readonly Pick<FusedAdapter, "width" | "activation" | "scale" | "state">[];
  readonly rows: number;
  /** The query is not what the adapters read. */
  readonly apart?: boolean;
  readonly temperature?: number;
  /** Adds to every number of the random draws. */
  readonly seed?: number;
}

/** Weights and rows of a setting. */
export interface Material {
  readonly adapters: readonly FusedAdapter[];
  readonly weights: UnfoldedWeights;
  readonly x: Float32Array;
  readonly query: Float32Array;
  readonly residual: Float32Array;
}

/** What float64 finds, and largest absolute errors that f32 may make. */
export interface Truth {
  readonly children: readonly Float64Array[];
  readonly y: Float64Array;
  readonly weights: Float64Array;
  readonly tolerance: { readonly y: number; readonly weights: number };
}

const NAMES = Object.entries(activationCodes);

/** Random material: scores of a few units, values and residual of about 2/√d. */
export function draw({ shape, adapters, rows, apart = false, seed = 0 }: Setting): Material {
  const { width: d } = shape;
  let next = 1000 * seed;
  const random = (count: number, deviation: number): Float32Array => normal((next += 1), count, deviation);
  const square = (): Float32Array => random(d * d, 1 / Math.sqrt(d));
  const x = random(rows * d, 1);
  return {
    x,
    query: apart ? random(rows * d, 1) : x,
    residual: random(rows * d, 2 / Math.sqrt(d)),
    adapters: adapters.map((adapter) => ({
      ...adapter,
      down: random(adapter.width * d, 1 / Math.sqrt(d)),
      downBias: random(adapter.width, 0.3),
      up: random(adapter.width * d, 2 / Math.sqrt(adapter.width * d)),
      upBias: random(d, 0.5 / Math.sqrt(d)),
    })),
    weights: {
      ...(shape.query ? { query: { weight: square(), bias: random(d, 0.3) } } : {}),
      ...(shape.key ? { key: { weight: square(), bias: random(d, 0.3) } } : {}),
      ...(shape.value ? { value: { weight: square() } } : {}),
    },
  };
}

type Row = Float64Array;

/** W x + c. */
function affine(weight: Float32Array, x: Row | Float32Array, bias?: Float32Array): Row {
  const inputs = x.length;
  const row = Float64Array.from(x);
  const matrix = Float64Array.from(weight);
  return Float64Array.from({ length: weight.length / inputs }, (_, at) => {
    return dot(matrix, at * inputs, row, 0, inputs) + (bias?.[at] ?? 0);
  });
}

function up({ scale, activation, ...adapter }: FusedAdapter, x: Float32Array): Row {
  const name = NAMES.find(([, code]) => code === activation)?.[0] as string;
  const hidden = affine(adapter.down, x, adapter.downBias).map((value) => activate(name, value));
  return affine(adapter.up, hidden, adapter.upBias).map((value) => scale * value);
}

/** Largest root of a sum of squared products: what the partial sums of a dot product come to. */
function productNorm(a: Row, b: Row): number {
  return Math.hypot(...a.map((value, at) => value * (b[at] as number)));
}

/** Wkᵀ q. */
function pull(weight: Float32Array | undefined, q: Row): Row {
  if (weight === undefined) return q;
  const pulled = new Float64Array(q.length);
  weight.forEach((value, at) => {
    const column = at % q.length;
    pulled[column] = (pulled[column] as number) + value * (q[Math.floor(at / q.length)] as number);
  });
  return pulled;
}

const add = (a: Row, b: Row | Float32Array): Row => a.map((value, at) => value + (b[at] as number));

/**
 * Both readings of `residual_before`: `inKeys` is upstream's, in which the residual has joined the keys as well.
 * An error δ of the scores changes the weights by at most δ/2 each and δ in all, and c by that much of the largest value.
 */
export function truthOf(setting: Setting, material: Material, inKeys = false): Truth {
  const { shape, rows, temperature = 1 } = setting;
  const { width: d } = shape;
  const { adapters, weights } = material;
  const children = adapters.map(() => new Float64Array(rows * d));
  const y = new Float64Array(rows * d);
  const p = new Float64Array(rows * adapters.length);
  let [scoreNorm, largest] = [0, 0];
  for (let row = 0; row < rows; row += 1) {
    const part = (data: Float32Array): Float32Array => data.subarray(row * d, (row + 1) * d);
    const residual = part(material.residual);
    const q0 = Float64Array.from(part(material.query));
    const q = weights.query === undefined ? q0 : affine(weights.query.weight, q0, weights.query.bias);
    const pulled = pull(weights.key?.weight, q);
    const logits: number[] = [];
    const values = adapters.map((adapter, a) => {
      const v = up(adapter, part(material.x));
      (children[a] as Row).set(v, row * d);
      const keyed = inKeys ? add(v, residual) : v;
      const key = weights.key === undefined ? keyed : affine(weights.key.weight, keyed, weights.key.bias);
      logits.push(adapter.state === "pruned" ? -Infinity : dot(q, 0, key, 0, d) / temperature);
      scoreNorm = Math.max(scoreNorm, productNorm(pulled, v) / temperature);
      return weights.value === undefined ? v : affine(weights.value.weight, v);
    });
    const top = Math.max(...logits);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
    let c: Row = new Float64Array(d);
    values.forEach((value, a) => {
      const share = adapters[a]?.state === "forced" ? 0 : Math.exp((logits[a] as number) - top) / total;
      p[row * adapters.length + a] = share;
      c = c.map((sum, at) => sum + share * (value[at] as number));
      for (const one of value) largest = Math.max(largest, Math.abs(one));
    });
    const through = shape.residualBefore && weights.value !== undefined;
    y.set(add(c, through ? affine(weights.value.weight, residual) : residual), row * d);
  }
  for (const one of y) largest = Math.max(largest, Math.abs(one));
  const step = toleranceFor(d);
  return {
    children,
    y,
    weights: p,
    tolerance: { y: step * (1 + scoreNorm) * largest, weights: step * (1 + scoreNorm) },
  };
}

/** @returns the largest absolute difference; Infinity where something is not a number. */
export function distance(found: ArrayLike<number> | undefined, expected: Float64Array): number {
  if (found === undefined || found.length !== expected.length) return Infinity;
  return expected.reduce((most, value, at) => {
    const gap = Math.abs(value - (found[at] as number));
    return Number.isNaN(gap) ? Infinity : Math.max(most, gap);
  }, 0);
}
