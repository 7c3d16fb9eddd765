/** @file Numbers that graphs compute with and that nobody trains or gives: made once, resident like weights. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Value } from "../graph/value.ts";

interface Mask {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The constants of one model. */
export class Constants {
  readonly #parameters: Parameters;
  readonly #masks: Mask[] = [];
  readonly #indices: { readonly name: string; readonly data: Uint32Array }[] = [];

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
  }

  /** A row of equal values, such as the γ of a norm without an affine part of its own. */
  row(b: GraphBuilder, value: number, width: number): Value {
    const name = `constant.${value}.${width}`;
    if (!this.#parameters.has(name))
      this.#parameters.set(name, { shape: [width], element: "f32" }, new Float32Array(width).fill(value));
    return b.parameter(name, [width]);
  }

  /** Zeros and ones, once for equal ones: which elements of a gradient count, which columns are which. */
  mask(b: GraphBuilder, data: Float32Array, shape: readonly number[]): Value {
    const known = this.#masks.find(
      (one) => one.shape.join() === shape.join() && one.data.every((value, at) => value === data[at]),
    );
    const { name } = known ?? this.#newMask(data, shape);
    return b.parameter(name, shape);
  }

  /** A table of whole numbers, once for equal ones. */
  indices(b: GraphBuilder, data: Uint32Array): Value {
    const known = this.#indices.find(
      (one) => one.data.length === data.length && one.data.every((value, at) => value === data[at]),
    );
    const { name } = known ?? this.#newIndices(data);
    return b.parameter(name, [data.length], "u32");
  }

  #newIndices(data: Uint32Array): { readonly name: string; readonly data: Uint32Array } {
    const made = { name: `indices.${this.#indices.length}`, data };
    this.#parameters.set(made.name, { shape: [data.length], element: "u32" }, data);
    this.#indices.push(made);
    return made;
  }

  #newMask(data: Float32Array, shape: readonly number[]): Mask {
    const made = { name: `mask.${this.#masks.length}`, shape, data };
    this.#parameters.set(made.name, { shape, element: "f32" }, data);
    this.#masks.push(made);
    return made;
  }
}
