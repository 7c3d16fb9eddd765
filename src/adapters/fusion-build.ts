/**
 * @file AdapterFusion as graph values (MATHS §2.4, docs/fusion.md): folded, for bottlenecks that read one x, and unfolded, for
 * children of any kind.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Value } from "../graph/value.ts";
import { elementwise } from "../ops/elementwise.ts";
import { fusion, fusionColumns } from "../ops/fusion.ts";
import { matmul } from "../ops/matmul.ts";
import type { TensorType } from "../ops/op.ts";
import { softmax } from "../ops/softmax.ts";
import { allocateTogether, foldedTypes } from "./fusion-fold.ts";
import type { FoldedPart, FusionShape } from "./fusion-fold.ts";
import { transpose } from "./tensors.ts";

/** The result of a fusion. */
export interface Fused {
  /** c + residual, or with the residual among the values c alone: [rows, d]. */
  readonly y: Value;
  /** p, a row per token and a column per adapter: [rows, N]. */
  readonly weights: Value;
}

/** Which resident fusion runs. */
export interface FusionChoice {
  /** What the names of its parameters start with. */
  readonly name: string;
  readonly shape: FusionShape;
  /** Slots of the parameters; 1 when absent. */
  readonly slots?: number;
  /** The run-time size that names the slot; slot 0 alone when absent. */
  readonly slot?: string;
}

/** A product with rows of a stack of matrices: those of the slot that the run names. */
function product(
  b: GraphBuilder,
  { slot }: FusionChoice,
  inputs: {
    readonly x: Value;
    readonly w: Value;
    readonly bias?: Value | undefined;
    readonly residual?: Value | undefined;
  },
  slotRows: number,
  rows: { readonly firstRow?: number; readonly rowCount?: number } = {},
): Value {
  return b.op(matmul, inputs, { ...rows, ...(slot === undefined ? {} : { slot, slotRows }) }).y as Value;
}

/**
 * A folded fusion: one product with all down-projections and scores, the softmax, one product with all values. Where the query is
 * not what the adapters read there are two first products.
 * @param inputs x [rows, d] that every adapter reads; query [rows, d], x when absent; residual [rows, d]
 */
export function buildFoldedFusion(
  b: GraphBuilder,
  inputs: { readonly x: Value; readonly query?: Value; readonly residual: Value },
  choice: FusionChoice,
): Fused {
  const { x, query = x, residual } = inputs;
  const { shape, name, slots = 1, slot } = choice;
  const { width, adapters, bottleneck, residualBefore, value } = shape;
  const types = foldedTypes(shape, slots);
  const resident = (part: FoldedPart): Value => {
    const { shape: axes, element } = types[part] as TensorType;
    return b.parameter(`${name}.${part}`, axes, element);
  };
  const units = adapters * bottleneck;
  const columns = fusionColumns(adapters, bottleneck);
  const first = (rows: Value, firstRow: number, rowCount: number): Value => {
    const matrices = { x: rows, w: resident("first"), bias: resident("first_bias") };
    return product(b, choice, matrices, units + columns, { firstRow, rowCount });
  };
  const together = query === x;
  const hidden = together ? first(x, 0, units + columns) : first(x, 0, units);
  const score = together ? hidden : first(query, units, columns);
  const mixed = b.op(
    fusion,
    { hidden, score, table: resident("table") },
    { adapters, width: bottleneck, ...(together ? { scoreAt: units } : {}), ...(slot === undefined ? {} : { slot }) },
  ) as { y: Value; weights: Value };
  // The weights sum to 1, so the residual among the values adds Wv·residual, and without Wv itself.
  const skip = residualBefore && value ? product(b, choice, { x: residual, w: resident("value") }, width) : residual;
  const y = product(b, choice, { x: mixed.y, w: resident("second"), residual: skip }, width);
  return { y, weights: mixed.weights };
}

/**
 * How an unfolded fusion is computed. `pulled`: the query is pulled back through Wk once and Wv is applied to the sum, three d × d
 * products in all. `literal`: keys and values of every adapter as MATHS §2.4 writes them, 2 N + 1 of them; the yardstick.
 */
export type UnfoldedForm = "pulled" | "literal";

/** A fusion without folding. */
export interface UnfoldedChoice extends FusionChoice {
  /** `pulled` when absent. */
  readonly form?: UnfoldedForm;
}

/** Shape of an unfolded fusion: it does not ask how its children are made. */
export type UnfoldedShape = Omit<FusionShape, "bottleneck">;

const INDICATORS = "fusion.indicators";

/** Resident parts of an unfolded fusion: its own matrices, 1/T, and who is not forced to 0. */
export function unfoldedTypes(shape: UnfoldedShape, form: UnfoldedForm, slots = 1): Record<string, TensorType> {
  const { width, adapters } = shape;
  const matrix: TensorType = { shape: [slots * width, width], element: "f32" };
  const vector: TensorType = { shape: [slots * width], element: "f32" };
  const diagonal: TensorType = { shape: [slots * adapters, adapters], element: "f32" };
  return {
    ...(shape.query ? { query: matrix, query_bias: vector } : {}),
    ...(shape.key ? { key: matrix } : {}),
    ...(shape.key && form === "literal" ? { key_bias: vector } : {}),
    ...(shape.value ? { value: matrix } : {}),
    sharpen: diagonal,
    keep: diagonal,
  };
}

/** Weights of an unfolded fusion. */
export interface UnfoldedWeights {
  readonly query?: { readonly weight: Float32Array; readonly bias: Float32Array };
  readonly key?: { readonly weight: Float32Array; readonly bias: Float32Array };
  readonly value?: { readonly weight: Float32Array };
}

/**
 * Makes the resident parts, and the indicator matrices that all fusions of N adapters on d share. Throws LIMIT with nothing left
 * behind where one does not fit.
 */
export function allocateUnfolded(parameters: Parameters, choice: UnfoldedChoice): void {
  const { name, shape, form = "pulled", slots = 1 } = choice;
  shareIndicators(parameters, shape);
  allocateTogether(parameters, name, unfoldedTypes(shape, form, slots));
}

/** Frees what {@link allocateUnfolded} made for this fusion alone. */
export function freeUnfolded(parameters: Parameters, { name, shape, form = "pulled" }: UnfoldedChoice): void {
  for (const part of Object.keys(unfoldedTypes(shape, form))) parameters.delete(`${name}.${part}`);
}

function shareIndicators(parameters: Parameters, shape: UnfoldedShape): void {
  const { width, adapters } = shape;
  const { rows, columns } = indicatorTypes(shape);
  if (!parameters.has(rows.name)) {
    // Row N − 1 of 2 N − 1 is ones: N rows from N − 1 − a on have theirs at row a.
    const ones = new Float32Array((2 * adapters - 1) * width).fill(1, (adapters - 1) * width, adapters * width);
    parameters.set(rows.name, rows.type, ones);
  }
  if (!parameters.has(columns.name)) {
    const ones = Float32Array.from({ length: adapters * width * adapters }, (_, at) =>
      at % adapters === Math.floor(at / (width * adapters)) ? 1 : 0,
    );
    parameters.set(columns.name, columns.type, ones);
  }
}

/** Writes a slot of an unfolded fusion. `forced`: adapters whose weight becomes 0 after the softmax. */
export function writeUnfolded(
  parameters: Parameters,
  choice: UnfoldedChoice,
  weights: UnfoldedWeights,
  setting: { readonly slot?: number; readonly temperature?: number; readonly forced?: readonly number[] } = {},
): void {
  const { name, shape, form = "pulled" } = choice;
  const { width, adapters } = shape;
  const { slot = 0, temperature = 1, forced = [] } = setting;
  const write = (part: string, data: Float32Array): void =>
    parameters.write(`${name}.${part}`, data, slot * data.length);
  if (weights.query !== undefined) {
    write("query", weights.query.weight);
    write("query_bias", weights.query.bias);
  }
  if (weights.key !== undefined) {
    write("key", form === "pulled" ? transpose(weights.key.weight, width, width) : weights.key.weight);
    if (form === "literal") write("key_bias", weights.key.bias);
  }
  if (weights.value !== undefined) write("value", weights.value.weight);
  const diagonal = (at: (a: number) => number): Float32Array => {
    const matrix = new Float32Array(adapters * adapters);
    for (let a = 0; a < adapters; a += 1) matrix[a * (adapters + 1)] = at(a);
    return matrix;
  };
  write(
    "sharpen",
    diagonal(() => 1 / temperature),
  );
  write(
    "keep",
    diagonal((a) => (forced.includes(a) ? 0 : 1)),
  );
}

/**
 * A fusion of children of any kind.
 * @param inputs children v_1 … v_N [rows, d], scaled up-outputs or whatever a child gives; query q0 and residual [rows, d]
 */
export function buildUnfoldedFusion(
  b: GraphBuilder,
  inputs: { readonly children: readonly Value[]; readonly query: Value; readonly residual: Value },
  choice: UnfoldedChoice,
): Fused {
  const { name, shape, form = "pulled", slots = 1 } = choice;
  const { width, adapters, residualBefore } = shape;
  const types = unfoldedTypes(shape, form, slots);
  const resident = (part: string): Value => b.parameter(`${name}.${part}`, (types[part] as TensorType).shape);
  const through = (part: string, x: Value, residual?: Value): Value =>
    product(b, choice, { x, w: resident(part), residual, bias: biasOf(part) }, width);
  const biasOf = (part: string): Value | undefined =>
    types[`${part}_bias`] === undefined ? undefined : resident(`${part}_bias`);
  const { children, residual } = inputs;
  const literal = form === "literal";

  let query = shape.query ? through("query", inputs.query) : inputs.query;
  if (shape.key && !literal) query = through("key", query);
  const keys = shape.key && literal ? children.map((child) => through("key", child)) : children;
  const scores = product(b, choice, { x: scoresOf(b, query, keys, shape), w: resident("sharpen") }, adapters);
  const shares = b.op(softmax, { x: scores }, {}).y as Value;
  const weights = product(b, choice, { x: shares, w: resident("keep") }, adapters);

  const early = shape.value && literal;
  const values = early ? children.map((child) => through("value", child)) : children;
  const sum = weightedSum(b, weights, values, shape);
  const add = (a: Value, other: Value): Value => b.op(elementwise, { a, b: other }, { operation: "add" }).y as Value;
  if (!shape.value) return { y: add(sum, residual), weights };
  if (early) return { y: add(sum, residualBefore ? through("value", residual) : residual), weights };
  return { y: residualBefore ? through("value", add(sum, residual)) : through("value", sum, residual), weights };
}

function indicatorTypes({
  width,
  adapters,
}: UnfoldedShape): Record<"rows" | "columns", { name: string; type: TensorType }> {
  const name = `${INDICATORS}.${adapters}.${width}`;
  return {
    rows: { name: `${name}.rows`, type: { shape: [2 * adapters - 1, width], element: "f32" } },
    columns: { name: `${name}.columns`, type: { shape: [adapters * width, adapters], element: "f32" } },
  };
}

/** scores [rows, N]: the products of the query with every key, each brought to its column by a matrix with one row of ones. */
function scoresOf(b: GraphBuilder, query: Value, keys: readonly Value[], shape: UnfoldedShape): Value {
  const { name, type } = indicatorTypes(shape).rows;
  const w = b.parameter(name, type.shape);
  let scores: Value | undefined;
  keys.forEach((key, a) => {
    const x = b.op(elementwise, { a: query, b: key }, { operation: "mul" }).y as Value;
    const rows = { firstRow: shape.adapters - 1 - a, rowCount: shape.adapters };
    scores = b.op(matmul, { x, w, residual: scores }, rows).y as Value;
  });
  return scores as unknown as Value;
}

/** Σ p_a v_a: column a of the weights is spread over d columns by a matrix with one column of ones. */
function weightedSum(b: GraphBuilder, weights: Value, values: readonly Value[], shape: UnfoldedShape): Value {
  const { name, type } = indicatorTypes(shape).columns;
  const w = b.parameter(name, type.shape);
  const terms = values.map((value, a) => {
    const spread = b.op(matmul, { x: weights, w }, { firstRow: a * shape.width, rowCount: shape.width }).y as Value;
    return b.op(elementwise, { a: value, b: spread }, { operation: "mul" }).y as Value;
  });
  return terms.reduce((a, other) => b.op(elementwise, { a, b: other }, { operation: "add" }).y as Value);
}
