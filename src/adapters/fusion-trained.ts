/**
 * @file A folded AdapterFusion whose own matrices are trained (docs/fusion.md, DESIGN §5.2): its adapters are frozen, and the graph that
 * uses it folds them with Wq, Wk and Wv anew, as values that gradients go back through.
 *
 * With X [C, d] the units and biases of the adapters: keys = X Wkᵀ, scores = keys Wq, offsets = keys cq, second = Wv Xᵀ.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Value } from "../graph/value.ts";
import { fusion, fusionColumns, fusionRecord, fusionRecordWords } from "../ops/fusion.ts";
import { matmul } from "../ops/matmul.ts";
import type { TensorType } from "../ops/op.ts";
import { rowDot } from "../ops/row-dot.ts";
import type { Fused, FusionChoice, ScoreFactor, UnfoldedWeights } from "./fusion-build.ts";
import { allocateTogether, stackDown, stackUnits } from "./fusion-fold.ts";
import type { FusedAdapter, FusionShape } from "./fusion-fold.ts";

/** A fusion of one slot. */
export type TrainedChoice = Pick<FusionChoice, "name" | "shape">;

/** A part of a fusion that is trained. */
export interface TrainedPart {
  /** What ends the name of its parameter. */
  readonly part: "query" | "query_bias" | "key" | "key_bias" | "value";
  /** Its tensor, behind `layers.{layer}.{place}.`. */
  readonly tensor: string;
}

/** @returns the parts of a fusion that are trained, under the same names whether it is folded or not. */
export function trainedParts({ query, key, value }: Pick<FusionShape, "query" | "key" | "value">): TrainedPart[] {
  return [
    ...(query ? ([part("query", "query.weight"), part("query_bias", "query.bias")] as const) : []),
    ...(key ? ([part("key", "key.weight"), part("key_bias", "key.bias")] as const) : []),
    ...(value ? [part("value", "value.weight")] : []),
  ];
}

function part(name: TrainedPart["part"], tensor: string): TrainedPart {
  return { part: name, tensor };
}

/** Resident parts: what is trained, and of the frozen adapters units, down-projections, and which rows of X are biases. */
export function trainedTypes(shape: FusionShape): Record<string, TensorType> {
  const { width, adapters, bottleneck, key } = shape;
  const f32 = (...axes: number[]): TensorType => ({ shape: axes, element: "f32" });
  const own = trainedParts(shape).map(({ part: name }) => [
    name,
    name.endsWith("_bias") ? f32(width) : f32(width, width),
  ]);
  const columns = fusionColumns(adapters, bottleneck);
  return {
    ...Object.fromEntries(own),
    units: f32(columns, width),
    down: f32(adapters * bottleneck, width),
    down_bias: f32(adapters * bottleneck),
    ...(key ? { biases: f32(columns, 1) } : {}),
    table: { shape: [1, fusionRecordWords(adapters)], element: "u32" },
  };
}

/** Makes the resident parts; throws LIMIT with nothing left behind where one does not fit. */
export function allocateTrained(parameters: Parameters, { name, shape }: TrainedChoice): void {
  allocateTogether(parameters, name, trainedTypes(shape));
}

/** @returns the name and type of the identity [d, d] that the regulariser compares Wv with. */
export function identityType(width: number): { readonly name: string; readonly type: TensorType } {
  return { name: `fusion.identity.${width}`, type: { shape: [width, width], element: "f32" } };
}

/** Makes the identity that all fusions on d share, unless it is there. */
export function shareIdentity(parameters: Parameters, width: number): void {
  const { name, type } = identityType(width);
  if (parameters.has(name)) return;
  const data = new Float32Array(width * width);
  for (let at = 0; at < data.length; at += width + 1) data[at] = 1;
  parameters.set(name, type, data);
}

/** Frees what {@link allocateTrained} made. */
export function freeTrained(parameters: Parameters, { name, shape }: TrainedChoice): void {
  for (const one of Object.keys(trainedTypes(shape))) parameters.delete(`${name}.${one}`);
}

/** Writes what adapters and temperature say: data of the softmax. */
export function writeTrainedTable(
  parameters: Parameters,
  { name, shape }: TrainedChoice,
  adapters: readonly FusedAdapter[],
  temperature: number,
): void {
  parameters.write(`${name}.table`, fusionRecord(shape.adapters, temperature, adapters));
}

/** Writes all resident parts. Widths and lengths are those of packed adapters and of checked tensors. */
export function writeTrained(
  parameters: Parameters,
  choice: TrainedChoice,
  adapters: readonly FusedAdapter[],
  weights: UnfoldedWeights,
  temperature = 1,
): void {
  const { name, shape } = choice;
  const write = (one: string, data: Float32Array): void => parameters.write(`${name}.${one}`, data);
  writeTrainedTable(parameters, choice, adapters, temperature);
  write("units", stackUnits(shape, adapters));
  const down = stackDown(shape, adapters);
  write("down", down.weight);
  write("down_bias", down.bias);
  if (shape.key) {
    const first = shape.adapters * shape.bottleneck;
    const biases = new Float32Array(fusionColumns(shape.adapters, shape.bottleneck));
    write("biases", biases.fill(1, first, first + adapters.length));
  }
  for (const one of ["query", "key", "value"] as const) {
    const own = weights[one];
    if (own === undefined) continue;
    write(one, own.weight);
    if ("bias" in own) write(`${one}_bias`, own.bias);
  }
}

/** The matrices of a fold: scores [C, d] with offsets [C], and second [d, C] where there is a Wv. */
interface Folded {
  readonly scores: Value;
  readonly offsets: Value | undefined;
  readonly second: Value | undefined;
}

type Resident = (part: string) => Value;

function product(b: GraphBuilder, inputs: Readonly<Record<string, Value | undefined>>, transposed = false): Value {
  return b.op(matmul, inputs, transposed ? { transposed } : {}).y as Value;
}

/** @param keyBias the key's bias counts: it cancels in a softmax whose scores have one factor */
function fold(b: GraphBuilder, { query, key, value }: FusionShape, resident: Resident, keyBias: boolean): Folded {
  const units = resident("units");
  let keys = key ? product(b, { x: units, w: resident("key") }) : units;
  if (key && keyBias) {
    const bias = resident("key_bias");
    const column = b.reshape(bias, [...bias.type.shape, 1]);
    keys = product(b, { x: resident("biases"), w: column, residual: keys });
  }
  return {
    scores: query ? product(b, { x: keys, w: resident("query") }, true) : keys,
    offsets: query ? (b.op(rowDot, { x: keys, w: resident("query_bias") }, {}).y as Value) : undefined,
    second: value ? product(b, { x: resident("value"), w: units }) : undefined,
  };
}

/**
 * A fusion folded in the graph itself; the same function as `buildFoldedFusion` of what is folded ahead.
 * @param inputs x [rows, d] that every adapter reads; query [rows, d], x when absent; residual [rows, d]
 */
export function buildTrainedFusion(
  b: GraphBuilder,
  inputs: {
    readonly x: Value;
    readonly query?: Value | undefined;
    readonly residual: Value;
    readonly factor?: ScoreFactor | undefined;
  },
  { name, shape }: TrainedChoice,
): Fused {
  const { x, query = x, residual, factor } = inputs;
  const { adapters, bottleneck, residualBefore, value } = shape;
  const types = trainedTypes(shape);
  const resident: Resident = (one) => {
    const { shape: axes, element } = types[one] as TensorType;
    return b.parameter(`${name}.${one}`, axes, element);
  };
  const { scores, offsets, second } = fold(b, shape, resident, factor?.uneven === true);
  const hidden = product(b, { x, w: resident("down"), bias: resident("down_bias") });
  const score = product(b, { x: query, w: scores, bias: offsets });
  const mixed = b.op(
    fusion,
    { hidden, score, table: resident("table"), factor: factor?.value },
    { adapters, width: bottleneck },
  ) as { y: Value; weights: Value };
  const skip = residualBefore && value ? product(b, { x: residual, w: resident("value") }) : residual;
  const y =
    second === undefined
      ? product(b, { x: mixed.y, w: resident("units"), residual: skip }, true)
      : product(b, { x: mixed.y, w: second, residual: skip });
  return { y, weights: mixed.weights };
}
