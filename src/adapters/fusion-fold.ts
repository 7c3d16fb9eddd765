/**
 * @file Folding an AdapterFusion (docs/fusion.md, DESIGN §5.2): at inference all its matrices are frozen, so N adapters and
 * their fusion become two matrices, computed once on the GPU and left there.
 *
 * With units as rows, X = [s U_1ᵀ; …; s U_Nᵀ; s c_1; …; s c_N; 0 …] [C, d]:
 *   first [N B + C, d] = [D_1; …; D_N; X Wkᵀ Wq],  its bias = [d_1, …, d_N, X Wkᵀ cq]
 *   second [d, C] = Wv Xᵀ
 */

import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Arena } from "../graph/arena.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { Parameters } from "../graph/parameters.ts";
import { Plan } from "../graph/plan.ts";
import type { Value } from "../graph/value.ts";
import { fusionColumns, fusionRecord, fusionRecordWords } from "../ops/fusion.ts";
import type { FusionMember } from "../ops/fusion.ts";
import { matmul } from "../ops/matmul.ts";
import type { TensorType } from "../ops/op.ts";
import { rowDot } from "../ops/row-dot.ts";
import type { BottleneckEntry } from "./packed.ts";
import { transpose } from "./tensors.ts";

/** What of a fusion shapes its matrices and its graph. */
export interface FusionShape {
  /** d. */
  readonly width: number;
  /** N: adapters that there is room for. */
  readonly adapters: number;
  /** B: room of a bottleneck, a multiple of 4; {@link fusionRoom} of the widest. */
  readonly bottleneck: number;
  readonly query: boolean;
  readonly key: boolean;
  readonly value: boolean;
  /** The residual joins the values: Wv is then resident too, for Wv·residual. */
  readonly residualBefore: boolean;
}

/** One adapter of a fusion: v = scale · (up · act(down x + downBias) + upBias), and its part in the softmax. */
export type FusedAdapter = Pick<
  BottleneckEntry,
  "width" | "down" | "downBias" | "up" | "upBias" | "activation" | "scale"
> &
  Pick<FusionMember, "state">;

/** Matrices [d, d] and biases [d] of a fusion layer, as its configuration has them. The key's bias has no effect: it cancels. */
export interface FusionWeights {
  readonly query?: { readonly weight: Float32Array; readonly bias: Float32Array };
  readonly key?: { readonly weight: Float32Array };
  readonly value?: { readonly weight: Float32Array };
}

/** @returns the room B for a bottleneck of this width. */
export function fusionRoom(width: number): number {
  return Math.ceil(width / 4) * 4;
}

/** Resident parts of a folded fusion. */
export type FoldedPart = "first" | "first_bias" | "second" | "table" | "value";

/** @returns the types of the resident parts of `slots` folded fusions; `value` only where the residual needs it. */
export function foldedTypes(shape: FusionShape, slots = 1): Partial<Record<FoldedPart, TensorType>> {
  const { width, adapters, bottleneck } = shape;
  const columns = fusionColumns(adapters, bottleneck);
  const rows = slots * (adapters * bottleneck + columns);
  return {
    first: { shape: [rows, width], element: "f32" },
    first_bias: { shape: [rows], element: "f32" },
    second: { shape: [slots * width, columns], element: "f32" },
    table: { shape: [slots, fusionRecordWords(adapters)], element: "u32" },
    ...(keepsValue(shape) ? { value: { shape: [slots * width, width], element: "f32" } } : {}),
  };
}

/** Wv is needed beside the folded matrices only for the residual among the values. */
function keepsValue({ residualBefore, value }: FusionShape): boolean {
  return residualBefore && value;
}

/** Makes the resident parts `<name>.first`, …; throws LIMIT with nothing left behind where one does not fit. */
export function allocateFolded(parameters: Parameters, name: string, shape: FusionShape, slots = 1): void {
  allocateTogether(parameters, name, foldedTypes(shape, slots));
}

/** Makes the parameters `<name>.<part>`, all or none. */
export function allocateTogether(
  parameters: Parameters,
  name: string,
  types: Readonly<Partial<Record<string, TensorType>>>,
): void {
  const made: string[] = [];
  try {
    for (const [part, type] of Object.entries(types) as [string, TensorType][]) {
      parameters.set(`${name}.${part}`, type);
      made.push(`${name}.${part}`);
    }
  } catch (error) {
    for (const known of made) parameters.delete(known);
    throw error;
  }
}

/** Frees what {@link allocateFolded} made. */
export function freeFolded(parameters: Parameters, name: string, shape: FusionShape): void {
  for (const part of Object.keys(foldedTypes(shape))) parameters.delete(`${name}.${part}`);
}

/** Where a folded fusion goes, and how it runs. */
export interface FoldTarget {
  readonly parameters: Parameters;
  readonly name: string;
  /** 0 when absent. */
  readonly slot?: number;
  /** 1 when absent. */
  readonly temperature?: number;
}

/** Folds fusions of one shape, layer after layer, with one plan. */
export class FusionFolder {
  readonly #shape: FusionShape;
  readonly #plan: Plan;
  readonly #arena: Arena;
  readonly #unused: Parameters;

  private constructor(shape: FusionShape, plan: Plan, arena: Arena, unused: Parameters) {
    this.#shape = shape;
    this.#plan = plan;
    this.#arena = arena;
    this.#unused = unused;
  }

  /** Compiles what folding needs. Throws SHAPE for a bottleneck that is not a multiple of 4. */
  static async create(gpu: Gpu, shape: FusionShape): Promise<FusionFolder> {
    const { bottleneck } = shape;
    if (!Number.isInteger(bottleneck) || bottleneck < 4 || bottleneck % 4 !== 0)
      throw new EngineError("SHAPE", `fusion: a bottleneck of ${bottleneck}, expected a multiple of 4 from 4`);
    const arena = new Arena(gpu);
    const parameters = new Parameters(gpu);
    try {
      const plan = await Plan.create({ gpu, graph: foldGraph(shape), parameters, arena, capacities: {} });
      return new FusionFolder(shape, plan, arena, parameters);
    } catch (error) {
      await arena.dispose();
      throw error;
    }
  }

  /**
   * Folds one fusion layer into its resident parts. Adapters that are absent, and those marked `pruned`, take no part.
   * @throws EngineError BAD_WEIGHTS for arrays of a wrong length or a missing matrix
   */
  async fold(adapters: readonly FusedAdapter[], weights: FusionWeights, target: FoldTarget): Promise<void> {
    const { width, bottleneck, adapters: room } = this.#shape;
    checkLengths(this.#shape, adapters, weights);
    const { parameters, name, slot = 0, temperature = 1 } = target;
    const columns = fusionColumns(room, bottleneck);
    const rows = room * bottleneck + columns;
    const units = stackUnits(this.#shape, adapters);
    const hidden = stackDown(this.#shape, adapters);
    parameters.write(`${name}.table`, fusionRecord(room, temperature, adapters), slot * fusionRecordWords(room));
    parameters.write(`${name}.first`, hidden.weight, slot * rows * width);
    const bias = new Float32Array(rows);
    bias.set(hidden.bias);
    parameters.write(`${name}.first_bias`, bias, slot * rows);
    if (weights.value === undefined)
      parameters.write(`${name}.second`, transpose(units, columns, width), slot * width * columns);
    else if (keepsValue(this.#shape)) parameters.write(`${name}.value`, weights.value.weight, slot * width * width);
    const at = (part: string, words: number): { buffer: GPUBuffer; offset: number } => {
      const { buffer, offset } = parameters.slice(`${name}.${part}`);
      return { buffer, offset: offset + words * 4 };
    };
    const places = {
      scores: at("first", (slot * rows + room * bottleneck) * width),
      offsets: at("first_bias", slot * rows + room * bottleneck),
      second: at("second", slot * width * columns),
    };
    const { outputs } = this.#plan.graph;
    const into = Object.fromEntries(Object.entries(places).filter(([output]) => outputs.has(output)));
    await this.#plan.run(foldInputs(width, units, weights), {}, { into });
  }

  /** Frees the plan and its buffers; what was folded stays. */
  async dispose(): Promise<void> {
    this.#plan.dispose();
    this.#unused.dispose();
    await this.#arena.dispose();
  }
}

/** scores [C, d] = X Wkᵀ Wq, offsets [C] = X Wkᵀ cq, second [d, C] = Wv Xᵀ; what is the host's own copy is left out. */
function foldGraph({
  width,
  adapters,
  bottleneck,
  query,
  key,
  value,
}: FusionShape): ReturnType<GraphBuilder["finish"]> {
  const b = new GraphBuilder();
  const units = b.input("units", [fusionColumns(adapters, bottleneck), width]);
  const square = (name: string): Value => b.input(name, [width, width]);
  const product = (x: Value, w: Value): Value => b.op(matmul, { x, w }, {}).y as Value;
  const outputs: Record<string, Value> = {};
  const keys = key ? product(units, square("key")) : units;
  outputs.scores = query ? product(keys, square("query_turned")) : keys;
  if (query) outputs.offsets = b.op(rowDot, { x: keys, w: b.input("query_bias", [width]) }, {}).y as Value;
  if (value) outputs.second = product(square("value"), units);
  return b.finish(outputs);
}

function foldInputs(
  width: number,
  units: Float32Array,
  { query, key, value }: FusionWeights,
): Record<string, Float32Array> {
  return {
    units,
    ...(key === undefined ? {} : { key: key.weight }),
    ...(query === undefined ? {} : { query_turned: transpose(query.weight, width, width), query_bias: query.bias }),
    ...(value === undefined ? {} : { value: value.weight }),
  };
}

/** X: a row per unit, then a row per adapter for its bias; all times the adapter's scale. */
export function stackUnits({ width, adapters, bottleneck }: FusionShape, fused: readonly FusedAdapter[]): Float32Array {
  const units = new Float32Array(fusionColumns(adapters, bottleneck) * width);
  fused.forEach(({ up, upBias, scale, width: used }, a) => {
    const first = a * bottleneck * width;
    for (let c = 0; c < width; c += 1) {
      for (let i = 0; i < used; i += 1) units[first + i * width + c] = scale * (up[c * used + i] as number);
      units[(adapters * bottleneck + a) * width + c] = scale * (upBias[c] as number);
    }
  });
  return units;
}

/** The down-projections, a room per adapter. */
export function stackDown(
  { width, adapters, bottleneck }: FusionShape,
  fused: readonly FusedAdapter[],
): { weight: Float32Array; bias: Float32Array } {
  const weight = new Float32Array(adapters * bottleneck * width);
  const bias = new Float32Array(adapters * bottleneck);
  fused.forEach(({ down, downBias }, a) => {
    weight.set(down, a * bottleneck * width);
    bias.set(downBias, a * bottleneck);
  });
  return { weight, bias };
}

function checkLengths(shape: FusionShape, fused: readonly FusedAdapter[], weights: FusionWeights): void {
  const { width, adapters, bottleneck } = shape;
  const problems: string[] = [];
  const expect = (what: string, found: number | undefined, expected: number): void => {
    if (found !== expected) problems.push(`${what} has ${found ?? "no"} elements, expected ${expected}`);
  };
  if (fused.length < 1 || fused.length > adapters)
    problems.push(`${fused.length} adapters, there is room for ${adapters}`);
  fused.forEach(({ width: used, down, downBias, up, upBias }, a) => {
    if (used > bottleneck) problems.push(`adapter ${a} has a bottleneck of ${used}, there is room for ${bottleneck}`);
    expect(`down of adapter ${a}`, down.length, used * width);
    expect(`downBias of adapter ${a}`, downBias.length, used);
    expect(`up of adapter ${a}`, up.length, used * width);
    expect(`upBias of adapter ${a}`, upBias.length, width);
  });
  for (const part of ["query", "key", "value"] as const) {
    if (shape[part]) expect(part, weights[part]?.weight.length, width * width);
    else if (weights[part] !== undefined) problems.push(`${part} is given, the fusion has none`);
  }
  if (shape.query) expect("the query's bias", weights.query?.bias.length, width);
  if (problems.length === 0) return;
  throw new EngineError("BAD_WEIGHTS", `fusion: ${problems.join("; ")}`, { where: "fusion" });
}
