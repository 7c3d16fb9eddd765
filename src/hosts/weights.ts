/** @file Short ways to declare a host's weights and to use them in a graph. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { layerNorm } from "../ops/layer-norm.ts";
import { matmul } from "../ops/matmul.ts";
import { rmsNorm } from "../ops/rms-norm.ts";
import type { WeightPart, WeightSpec } from "./host.ts";

/** A linear map y = x·Wᵀ + bias: W [out, in] is made of the named tensors, one below the other. */
export interface LinearSpec {
  readonly name: string;
  /** Rows that every part brings, and the width that all share. */
  readonly parts: readonly { readonly tensor: string; readonly out: number }[];
  readonly inputs: number;
  readonly bias: boolean;
  /** The checkpoint stores [in, out] (Conv1D). */
  readonly transposed?: boolean;
}

/** @returns the specs of a linear map's weight and bias. */
export function linearWeights({ name, parts, inputs, bias, transposed }: LinearSpec): WeightSpec[] {
  const out = parts.reduce((sum, part) => sum + part.out, 0);
  const weightPart = (part: { tensor: string; out: number }): WeightPart =>
    transposed === true
      ? { tensor: `${part.tensor}.weight`, shape: [inputs, part.out], transpose: true }
      : { tensor: `${part.tensor}.weight`, shape: [part.out, inputs] };
  const weight: WeightSpec = {
    name: `${name}.weight`,
    shape: [out, inputs],
    kind: "matrix",
    parts: parts.map(weightPart),
  };
  if (!bias) return [weight];
  const biasParts = parts.map((part) => ({ tensor: `${part.tensor}.bias`, shape: [part.out] }));
  return [weight, { name: `${name}.bias`, shape: [out], kind: "vector", parts: biasParts }];
}

/** @returns the specs of a layer norm's weight and bias, or of the weight that a root-mean-square norm has alone. */
export function normWeights(
  name: string,
  tensor: string,
  width: number,
  kind: "layer" | "rms" = "layer",
): WeightSpec[] {
  return (kind === "layer" ? ["weight", "bias"] : ["weight"]).map((part) => ({
    name: `${name}.${part}`,
    shape: [width],
    kind: "vector",
    norm: true,
    parts: [{ tensor: `${tensor}.${part}`, shape: [width] }],
  }));
}

/** @returns the spec of a table or vector taken as it is. */
export function plainWeight(
  name: string,
  tensor: string,
  shape: readonly number[],
  kind: WeightSpec["kind"],
): WeightSpec {
  return { name, shape, kind, parts: [{ tensor, shape }] };
}

/** Looks up the resident parameters of a host by name. */
export class WeightLookup {
  readonly #specs: ReadonlyMap<string, WeightSpec>;
  readonly #element: (spec: WeightSpec) => "f32" | "f16";

  /** `half` stores matrices and tables in half precision. */
  constructor(specs: readonly WeightSpec[], half: boolean) {
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
    this.#element = (spec) => (half && spec.kind !== "vector" ? "f16" : "f32");
  }

  /** @returns true when there is such a weight. */
  has(name: string): boolean {
    return this.#specs.has(name);
  }

  /** @returns the parameter as a graph value. */
  value(b: GraphBuilder, name: string): Value {
    const spec = this.#specs.get(name);
    if (spec === undefined) throw new Error(`the host declares no weight ${name}`);
    return b.parameter(name, spec.shape, this.#element(spec));
  }

  /** y = x·Wᵀ + bias, optionally over a range of output columns only. */
  linear(b: GraphBuilder, x: Value, name: string, range?: { readonly first: number; readonly count: number }): Value {
    const bias = this.has(`${name}.bias`) ? this.value(b, `${name}.bias`) : undefined;
    const attributes = range === undefined ? {} : { firstRow: range.first, rowCount: range.count };
    return b.op(matmul, { x, w: this.value(b, `${name}.weight`), bias }, attributes).y as Value;
  }

  /** LN(x) with the named weights; RMS(x) where the norm has no bias. */
  norm(b: GraphBuilder, x: Value, name: string, eps: number): Value {
    const gamma = this.value(b, `${name}.weight`);
    if (!this.has(`${name}.bias`)) return b.op(rmsNorm, { x, gamma }, { eps }).y as Value;
    return b.op(layerNorm, { x, gamma, beta: this.value(b, `${name}.bias`) }, { eps }).y as Value;
  }
}
