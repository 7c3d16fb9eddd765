/** @file Numbers that graphs compute with and that nobody trains or gives: made once, resident like weights. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Value } from "../graph/value.ts";

type Numbers = Float32Array | Uint32Array;

/** Numbers that were made resident. */
interface Made {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Numbers;
}

/** The constants of one model. */
export class Constants {
  readonly #parameters: Parameters;
  readonly #made: Made[] = [];

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
    return b.parameter(this.#nameOf("mask", "f32", data, shape), shape);
  }

  /** A table of whole numbers, once for equal ones. */
  indices(b: GraphBuilder, data: Uint32Array): Value {
    const shape = [data.length];
    return b.parameter(this.#nameOf("indices", "u32", data, shape), shape, "u32");
  }

  #nameOf(kind: string, element: "f32" | "u32", data: Numbers, shape: readonly number[]): string {
    const isSame = (one: Made): boolean =>
      one.name.startsWith(`${kind}.`) &&
      one.shape.join() === shape.join() &&
      one.data.every((value, at) => value === data[at]);
    const known = this.#made.find(isSame);
    if (known !== undefined) return known.name;
    const name = `${kind}.${this.#made.length}`;
    this.#parameters.set(name, { shape, element }, data);
    this.#made.push({ name, shape, data });
    return name;
  }
}
