/**
 * @file Terms that slot data is computed by, where it is no copy of an adapter's tensors (see derivation.ts): sources, arithmetic on them,
 * and the stretches of slots that they make.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { elementwise } from "../ops/elementwise.ts";
import type { ElementwiseOperation } from "../ops/elementwise.ts";
import { matmul } from "../ops/matmul.ts";
import type { AdapterHost } from "./config/types.ts";
import type { Constants } from "./constants.ts";
import type { FrozenMap } from "./linear-parts.ts";
import { need } from "./tensors.ts";
import type { AdapterTensors } from "./tensors.ts";

/** What slot data is computed of: a tensor of the adapter, a stretch of one, or frozen numbers. */
export interface DerivedSource {
  /** The tensor that it is a stretch of; null for a weight of the host. */
  readonly tensor: string | null;
  readonly from: number;
  readonly shape: readonly number[];
  /** What is frozen is a constant of the computation: VeRA's shared pair, the weights that DoRA measures. */
  readonly trained: boolean;
  readonly data: Float32Array;
}

/** What a graph is built with. */
export interface DeriveKit {
  readonly b: GraphBuilder;
  readonly constants: Constants;
  readonly source: (key: string) => Value;
}

/** A value that is built when it is asked for. */
export type Term = (kit: DeriveKit) => Value;

/** A stretch of a slot that is computed. */
export interface DerivedStretch {
  readonly table: string;
  /** Its first element in the slot. */
  readonly from: number;
  readonly shape: readonly number[];
  readonly build: Term;
}

/** What the methods of an adapter derive from. */
export interface DeriveFrom {
  readonly tensors: AdapterTensors;
  readonly host: AdapterHost;
  /** Units or rows that a slot of a table has room for. */
  readonly room: (table: string) => number;
  readonly frozen: FrozenMap | undefined;
}

/** A derivation under way. */
export class DerivationDraft {
  readonly from: DeriveFrom;
  readonly sources: Map<string, DerivedSource> = new Map();
  readonly stretches: DerivedStretch[] = [];

  constructor(from: DeriveFrom) {
    this.from = from;
  }

  /** A tensor as a graph value, whole under another shape or a stretch of it. */
  source(
    tensor: string,
    { from = 0, shape, trained = true }: { from?: number; shape?: readonly number[]; trained?: boolean } = {},
  ): Term {
    const { data, shape: whole } = need(this.from.tensors, tensor);
    const axes = shape ?? whole;
    const elements = axes.reduce((count, dim) => count * dim, 1);
    const own = { tensor, from, shape: axes, trained, data: data.subarray(from, from + elements) };
    return this.#add(from === 0 ? tensor : `${tensor} ${from}`, own);
  }

  /** Numbers of the host. */
  given(name: string, shape: readonly number[], data: Float32Array): Term {
    return this.#add(name, { tensor: null, from: 0, shape, trained: false, data });
  }

  #add(key: string, source: DerivedSource): Term {
    this.sources.set(key, source);
    return ({ source: find }) => find(key);
  }

  stretch(table: string, from: number, shape: readonly number[], build: Term): void {
    this.stretches.push({ table, from, shape, build });
  }
}

/** Arithmetic on elements; b may be a row, or one value. */
export function combine(operation: ElementwiseOperation, a: Term, b?: Term): Term {
  return (kit) => kit.b.op(elementwise, { a: a(kit), b: b?.(kit) }, { operation }).y as Value;
}

/** x wᵀ + bias + residual; transposed x w. */
export function product(
  x: Term,
  w: Term,
  { transposed = false, bias, residual }: { transposed?: boolean; bias?: Term; residual?: Term } = {},
): Term {
  return (kit) => {
    const inputs = { x: x(kit), w: w(kit), bias: bias?.(kit), residual: residual?.(kit) };
    return kit.b.op(matmul, inputs, transposed ? { transposed } : {}).y as Value;
  };
}

/** One number. */
export function number(value: number): Term {
  return ({ b, constants }) => constants.row(b, value, 1);
}

/** x [n, count] with its columns from `first` on among `room`, the others 0. */
export function placed(x: Term, { first, count, room }: { first: number; count: number; room: number }): Term {
  if (first === 0 && count === room) return x;
  const selection = new Float32Array(room * count);
  for (let column = 0; column < count; column += 1) selection[(first + column) * count + column] = 1;
  return product(x, ({ b, constants }) => constants.mask(b, selection, [room, count]));
}
