/** @file The middle of a folded AdapterFusion: bottlenecks and folded scores of N adapters -> coefficients of the folded values. */

import { EngineError } from "../errors.ts";
import { activationCodes } from "./activation.ts";
import { counted } from "./cost.ts";
import { expectDim, expectTensor, gridOver, staticDim } from "./op.ts";
import type { Attributes, DeviceTraits, Dim, Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";

/** Attributes of {@link fusion}. */
export interface FusionAttributes extends Attributes {
  /** N, pruned ones included. */
  readonly adapters: number;
  /** Room of an adapter's bottleneck B, a multiple of 4. */
  readonly width: number;
  /** The first column of the score part in a row of `score`, a multiple of 4; 0 when absent. */
  readonly scoreAt?: number;
  /** The run-time size that names the row of the table; row 0 when absent. */
  readonly slot?: string;
}

/** One adapter of a fusion's record. */
export interface FusionMember {
  /** Active width b <= B. */
  readonly width: number;
  /** Code of the activation ({@link activationCodes}). */
  readonly activation: number;
  /**
   * `forced`: its weight becomes 0 after the softmax, the others keep theirs. `pruned`: it is not there, the softmax goes over the
   * rest (MATHS §2.6). `active` when absent.
   */
  readonly state?: "active" | "forced" | "pruned";
}

const RECORD_WORDS = 4;
const NOBODY: FusionMember = { width: 0, activation: activationCodes.identity, state: "pruned" };
const STATES = { active: 0, forced: 1, pruned: 2 } as const;
const LANE_ROWS = { software: 16, hardware: 64 };
const WORKGROUP_LANES = 64;
// Multiply-adds count as 2: the products of a score and their sum, an activation, and the weight of every unit; and of every
// adapter offset, temperature, exponential, sum and quotient of the softmax.
const FLOPS = { unit: 4, adapter: 5 };

/** Columns of y, and of the score part: N B + N, padded to a multiple of 8 for the matmuls on both sides. */
export function fusionColumns(adapters: number, width: number): number {
  return Math.ceil((adapters * width + adapters) / 8) * 8;
}

/** Words of a fusion's record in the table: the temperature, then every adapter. */
export function fusionRecordWords(adapters: number): number {
  return RECORD_WORDS * (adapters + 1);
}

/**
 * The record of a fusion of at most `adapters` members; places without a member count as pruned.
 * @example fusionRecord(2, 1, [{ width: 48, activation: 1 }, { width: 48, activation: 1, state: "forced" }])
 * @throws EngineError BAD_CONFIG for a temperature that is not above 0, too many members or an unknown activation
 */
export function fusionRecord(adapters: number, temperature: number, members: readonly FusionMember[]): Uint32Array {
  const refuse = (name: string, value: number, expected: string): never => {
    throw new EngineError("BAD_CONFIG", `fusion: ${name} is ${value}, expected ${expected}`, {
      where: `fusion.${name}`,
    });
  };
  if (!(temperature > 0 && Number.isFinite(temperature))) refuse("temperature", temperature, "a number above 0");
  if (members.length > adapters) refuse("the number of adapters", members.length, `at most ${adapters}`);
  const record = new Uint32Array(fusionRecordWords(adapters));
  new Float32Array(record.buffer)[0] = temperature;
  for (let a = 0; a < adapters; a += 1) {
    const { width, activation, state = "active" } = members[a] ?? NOBODY;
    if (!Object.values(activationCodes).includes(activation)) refuse("activation", activation, "a known code");
    record.set([width, activation, STATES[state]], RECORD_WORDS * (a + 1));
  }
  return record;
}

/**
 * hidden[R, >= N B], score[R, >= scoreAt + N B + N] (may be one value), table[slots, {@link fusionRecordWords}] u32, factor?[R, N]
 * -> y[R, {@link fusionColumns}] = [p_1 u_1 … p_N u_N, p_1 … p_N, 0 …], weights[R, N] = p,
 * u_a = act_a(hidden_a), p = softmax(factor_a (score_a · u_a + offset_a) / T) (MATHS §2.4 folded as in DESIGN §5.2). Units past an
 * adapter's active width count as 0. In a row where its factor is below 0 an adapter counts as pruned. With all adapters pruned y and
 * weights are 0.
 */
export const fusion: Op<FusionAttributes> = {
  stem: "fusion",
  infer: (inputs, attributes) => {
    const { adapters, width } = attributes;
    const { rows } = inferFusion("fusion", inputs, attributes);
    return {
      y: { shape: [rows, fusionColumns(adapters, width)], element: "f32" },
      weights: { shape: [rows, adapters], element: "f32" },
    };
  },
  // Every adapter has its room, in the matrix products on both sides as well as here.
  cost: ({ inputs, attributes: { adapters, width } }, size) => {
    const rows = size(inputs.hidden?.shape[0] as Dim);
    const factors = inputs.factor === undefined ? 0 : adapters;
    const words = 2 * adapters * width + adapters + fusionColumns(adapters, width) + adapters + factors;
    return counted(
      { softmax: rows * adapters * FLOPS.adapter, other: rows * adapters * FLOPS.unit * width },
      4 * (rows * words + fusionRecordWords(adapters)),
    );
  },
  variants: ({ attributes: { adapters, width } }, device) => fusionVariants(adapters * (width + 4), device),
  launch: (call, variant, device) => [fusionLaunch("fusion", call, variant, device)],
};

/**
 * Checks attributes and inputs of a fusion, and of its gradient.
 * @returns its rows
 */
export function inferFusion(
  op: string,
  inputs: Readonly<Record<string, TensorType>>,
  { adapters, width, scoreAt = 0 }: FusionAttributes,
): { readonly rows: Dim } {
  checkAttribute("adapters", adapters, 1, 1);
  checkAttribute("width", width, 4, 4);
  checkAttribute("scoreAt", scoreAt, 4, 0);
  const { shape } = expectTensor(op, "hidden", inputs.hidden, 2);
  const rows = shape[0] as Dim;
  const score = expectTensor(op, "score", inputs.score, 2);
  expectColumns("hidden", shape[1], adapters * width);
  expectDim(op, "score axis 0", score.shape[0], rows);
  expectColumns("score", score.shape[1], scoreAt + adapters * width + adapters);
  const table = expectTensor(op, "table", inputs.table, 2, ["u32"]);
  staticDim(op, "table axis 0", table.shape[0]);
  expectDim(op, "table axis 1", table.shape[1], fusionRecordWords(adapters));
  if (inputs.factor !== undefined) {
    const factor = expectTensor(op, "factor", inputs.factor, 2);
    expectDim(op, "factor axis 0", factor.shape[0], rows);
    expectDim(op, "factor axis 1", factor.shape[1], adapters);
  }
  return { rows };
}

/** @param bytes of workgroup memory that a row in a workgroup of its own takes */
export function fusionVariants(bytes: number, device: DeviceTraits): readonly string[] {
  if (bytes > device.maxWorkgroupStorageBytes) return ["lane"];
  return device.software ? ["lane", "workgroup"] : ["workgroup", "lane"];
}

/** The launch of a fusion, or of its gradient, whose kernels are `stem` and `stem`.workgroup. */
export function fusionLaunch(
  stem: string,
  call: OpCall<FusionAttributes>,
  variant: string,
  device: DeviceTraits,
): Launch {
  const { inputs, attributes } = call;
  const { adapters, width, scoreAt = 0, slot } = attributes;
  const [rows, hiddenWidth] = (inputs.hidden as TensorType).shape as readonly [Dim, number];
  const lanes = LANE_ROWS[device.software ? "software" : "hardware"];
  const rowsPerWorkgroup = variant === "lane" ? lanes : 1;
  const { grid, grid_width } = gridOver(rows, rowsPerWorkgroup);
  return {
    kernel: variant === "lane" ? stem : `${stem}.workgroup`,
    constants: {
      ADAPTERS: adapters,
      WIDTH: width,
      HAS_FACTOR: inputs.factor !== undefined,
      WORKGROUP: variant === "lane" ? lanes : WORKGROUP_LANES,
    },
    uniform: {
      rows,
      grid_width,
      slot: slot === undefined ? 0 : slotOf(slot, inputs.table?.shape[0] as number),
      hidden_stride: hiddenWidth / 4,
      score_stride: (inputs.score?.shape[1] as number) / 4,
      score_at: scoreAt / 4,
    },
    grid,
  };
}

/** The row of the table that a run-time size names. */
function slotOf(symbol: string, slots: number): (size: SizeOf) => number {
  return (size) => {
    const slot = size({ symbol, times: 1 });
    if (Number.isInteger(slot) && slot >= 0 && slot < slots) return slot;
    throw new EngineError("SHAPE", `fusion: ${symbol} is ${slot}, the table has ${slots} rows`, { where: symbol });
  };
}

function checkAttribute(name: string, value: number, step: number, least: number): void {
  if (Number.isInteger(value) && value >= least && value % step === 0) return;
  const expected = step === 1 ? `a whole number from ${least}` : `a multiple of ${step} from ${least}`;
  throw new EngineError("SHAPE", `fusion: ${name} is ${value}, expected ${expected}`, { where: `fusion.${name}` });
}

function expectColumns(name: string, dim: Dim | undefined, least: number): void {
  const columns = staticDim("fusion", `${name} axis 1`, dim);
  if (columns >= least && columns % 4 === 0) return;
  const message = `fusion: ${name} axis 1 is ${columns}, expected a multiple of 4 from ${least}`;
  throw new EngineError("SHAPE", message, { where: `fusion.${name}` });
}
