/**
 * @file AdapterFusion as graph values (MATHS §2.4, docs/fusion.md): folded, for bottlenecks that read one x, and unfolded, for
 * children of any kind.
 */

import { EngineError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Value } from "../graph/value.ts";
import { activation } from "../ops/activation.ts";
import { elementwise } from "../ops/elementwise.ts";
import { fill } from "../ops/fill.ts";
import { fusion, fusionColumns } from "../ops/fusion.ts";
import { matmul } from "../ops/matmul.ts";
import type { TensorType } from "../ops/op.ts";
import { softmax } from "../ops/softmax.ts";
import { allocateTogether, foldedTypes } from "./fusion-fold.ts";
import type { FoldedPart, FusionShape } from "./fusion-fold.ts";

/** The result of a fusion. */
export interface Fused {
  /** c + residual, or with the residual among the values c alone: [rows, d]. */
  readonly y: Value;
  /** p, a row per token and a column per adapter: [rows, N]. */
  readonly weights: Value;
}

/** What the scores of a fusion are multiplied by. */
export interface ScoreFactor {
  /** [rows, N]; below 0 where an adapter is left out. */
  readonly value: Value;
  /** Adapters that take part have different ones, so that what all scores of a row have in common does not cancel. */
  readonly uneven: boolean;
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
  rows: { readonly firstRow?: number; readonly rowCount?: number; readonly transposed?: boolean } = {},
): Value {
  return b.op(matmul, inputs, { ...rows, ...(slot === undefined ? {} : { slot, slotRows }) }).y as Value;
}

/**
 * A folded fusion: one product with all down-projections and scores, the softmax, one product with all values. Where the query is
 * not what the adapters read, and where a gradient is to go back through it, there are two first products.
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
  const together = query === x && !b.differentiable;
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
export function unfoldedTypes(shape: UnfoldedShape, slots = 1): Record<string, TensorType> {
  const { width, adapters } = shape;
  const matrix: TensorType = { shape: [slots * width, width], element: "f32" };
  const vector: TensorType = { shape: [slots * width], element: "f32" };
  const square: TensorType = { shape: [slots * adapters, adapters], element: "f32" };
  return {
    ...(shape.query ? { query: matrix, query_bias: vector } : {}),
    ...(shape.key ? { key: matrix, key_bias: vector } : {}),
    ...(shape.value ? { value: matrix } : {}),
    sharpen: square,
    keep: square,
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
  const { name, shape, slots = 1 } = choice;
  shareIndicators(parameters, shape);
  allocateTogether(parameters, name, unfoldedTypes(shape, slots));
}

/** Frees what {@link allocateUnfolded} made for this fusion alone. */
export function freeUnfolded(parameters: Parameters, { name, shape }: UnfoldedChoice): void {
  for (const part of Object.keys(unfoldedTypes(shape))) parameters.delete(`${name}.${part}`);
}

function shareIndicators(parameters: Parameters, shape: UnfoldedShape): void {
  const { width, adapters } = shape;
  const { rows, columns } = indicatorTypes(shape);
  if (!parameters.has(rows.name)) {
    // Row N − 1 of the first 2 N − 1 is ones: N rows from N − 1 − a on have theirs at row a. N rows behind them are ones, all of them.
    const ones = new Float32Array((3 * adapters - 1) * width).fill(1, (adapters - 1) * width, adapters * width);
    parameters.set(rows.name, rows.type, ones.fill(1, (2 * adapters - 1) * width));
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
  const { name, shape } = choice;
  const { adapters } = shape;
  const { slot = 0, temperature = 1, forced = [] } = setting;
  const write = (part: string, data: Float32Array): void =>
    parameters.write(`${name}.${part}`, data, slot * data.length);
  if (weights.query !== undefined) {
    write("query", weights.query.weight);
    write("query_bias", weights.query.bias);
  }
  if (weights.key !== undefined) {
    write("key", weights.key.weight);
    write("key_bias", weights.key.bias);
  }
  if (weights.value !== undefined) write("value", weights.value.weight);
  writeTemperature(parameters, choice, temperature, slot);
  write(
    "keep",
    diagonal(adapters, (a) => (forced.includes(a) ? 0 : 1)),
  );
}

/** Writes 1/T of a slot of an unfolded fusion. */
export function writeTemperature(
  parameters: Parameters,
  { name, shape: { adapters } }: UnfoldedChoice,
  temperature: number,
  slot = 0,
): void {
  const data = diagonal(adapters, () => 1 / temperature);
  parameters.write(`${name}.sharpen`, data, slot * data.length);
}

function diagonal(size: number, at: (a: number) => number): Float32Array {
  const matrix = new Float32Array(size * size);
  for (let a = 0; a < size; a += 1) matrix[a * (size + 1)] = at(a);
  return matrix;
}

/**
 * A fusion of children of any kind.
 * @param inputs children v_1 … v_N [rows, d], scaled up-outputs or whatever a child gives; query q0 and residual [rows, d]
 * @throws EngineError UNSUPPORTED for factors of a stack of slots
 */
export function buildUnfoldedFusion(
  b: GraphBuilder,
  inputs: {
    readonly children: readonly Value[];
    readonly query: Value;
    readonly residual: Value;
    readonly factor?: ScoreFactor | undefined;
  },
  choice: UnfoldedChoice,
): Fused {
  const { name, shape, form = "pulled", slots = 1 } = choice;
  const { width, adapters, residualBefore } = shape;
  const types = unfoldedTypes(shape, slots);
  const resident = (part: string): Value => b.parameter(`${name}.${part}`, (types[part] as TensorType).shape);
  const through = (part: string, x: Value, residual?: Value): Value =>
    product(b, choice, { x, w: resident(part), residual, bias: biasOf(part) }, width);
  const biasOf = (part: string): Value | undefined =>
    types[`${part}_bias`] === undefined ? undefined : resident(`${part}_bias`);
  const { children, residual, factor } = inputs;
  const literal = form === "literal";

  const query = shape.query ? through("query", inputs.query) : inputs.query;
  const pulled = shape.key && !literal;
  const asked = pulled ? product(b, choice, { x: query, w: resident("key") }, width, { transposed: true }) : query;
  const keys = shape.key && literal ? children.map((child) => through("key", child)) : children;
  let raw = scoresOf(b, asked, keys, shape);
  if (factor !== undefined) {
    if (choice.slot !== undefined)
      throw new EngineError("UNSUPPORTED", "the scores of a stack of fusions have no factors", { where: name });
    if (pulled && factor.uneven) raw = withKeyBias(b, raw, { query, bias: resident("key_bias") }, shape);
    raw = multiplied(b, raw, factor.value);
  }
  const scores = product(b, choice, { x: raw, w: resident("sharpen") }, adapters);
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

/** scores + q · ck in every column: it cancels in a softmax of scores that have one factor, and is left out there. */
function withKeyBias(
  b: GraphBuilder,
  scores: Value,
  { query, bias }: { readonly query: Value; readonly bias: Value },
  shape: UnfoldedShape,
): Value {
  const { name, type } = indicatorTypes(shape).rows;
  const x = b.op(elementwise, { a: query, b: bias }, { operation: "mul" }).y as Value;
  const rows = { firstRow: 2 * shape.adapters - 1, rowCount: shape.adapters };
  return b.op(matmul, { x, w: b.parameter(name, type.shape), residual: scores }, rows).y as Value;
}

/** Scores that are this far below the others have no weight. */
const FAR_BELOW = 1e30;

/** scores ⊙ factor, far below all others where the factor is below 0. */
function multiplied(b: GraphBuilder, scores: Value, factor: Value): Value {
  const both = (operation: "add" | "sub" | "mul", left: Value, right: Value): Value =>
    b.op(elementwise, { a: left, b: right }, { operation }).y as Value;
  const kept = b.op(activation, { x: factor }, { kind: "relu" }).y as Value;
  const far = b.op(fill, { x: factor }, { value: FAR_BELOW }).y as Value;
  return both("add", both("mul", scores, kept), both("mul", both("sub", factor, kept), far));
}

function indicatorTypes({
  width,
  adapters,
}: UnfoldedShape): Record<"rows" | "columns", { name: string; type: TensorType }> {
  const name = `${INDICATORS}.${adapters}.${width}`;
  return {
    rows: { name: `${name}.rows`, type: { shape: [3 * adapters - 1, width], element: "f32" } },
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
