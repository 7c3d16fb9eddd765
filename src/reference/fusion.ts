/** @file The middle of a folded AdapterFusion in float64 (MATHS §2.4). */

import { EngineError } from "../errors.ts";
import { activate } from "./activation.ts";
import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Activations by the code that a record holds. */
const NAMES = ["identity", "relu", "gelu", "gelu_new", "silu", "quick_gelu", "tanh", "sigmoid", "leakyrelu"];
const [FORCED, PRUNED] = [1, 2];

/** One adapter of a fusion, as its record says. */
export interface FusedMember {
  readonly width: number;
  readonly activation: string;
  readonly forced: boolean;
  readonly pruned: boolean;
}

/** A fusion's inputs, read. */
export interface FusionInputs {
  readonly rows: number;
  /** Columns of y and of the score part. */
  readonly columns: number;
  readonly temperature: number;
  readonly members: readonly FusedMember[];
  readonly hidden: (row: number) => Elements;
  readonly score: (row: number) => Elements;
  /** What a score is multiplied by; below 0 the adapter is not there. */
  readonly factor: (row: number, a: number) => number;
}

type Elements = ReferenceTensor["data"];

/** Reads the inputs of the op `fusion`. With the attribute `slot`, `sizes` holds the row of the table under that symbol. */
export function fusionInputs(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
  sizes: Readonly<Record<string, number>>,
): FusionInputs {
  const [adapters, width] = [Number(attributes.adapters), Number(attributes.width)];
  const scoreAt = Number(attributes.scoreAt ?? 0);
  const hidden = needTensor("fusion", inputs, "hidden");
  const score = needTensor("fusion", inputs, "score");
  const factors = inputs.factor;
  const record = rowOf(
    needTensor("fusion", inputs, "table"),
    attributes.slot === undefined ? 0 : slotOf(String(attributes.slot), sizes),
  );
  const members = Array.from({ length: adapters }, (_, a): FusedMember => {
    const [active, code, flags] = record.subarray(4 * (a + 1), 4 * (a + 2)) as unknown as [number, number, number];
    return {
      width: Math.min(active, width),
      activation: NAMES[code] as string,
      forced: (flags & FORCED) !== 0,
      pruned: (flags & PRUNED) !== 0,
    };
  });
  return {
    rows: axis(hidden, 0),
    columns: Math.ceil((adapters * width + adapters) / 8) * 8,
    temperature: new Float32Array(Uint32Array.of(record[0] as number).buffer)[0] as number,
    members,
    hidden: (row) => rowOf(hidden, row),
    score: (row) => rowOf(score, row).subarray(scoreAt),
    factor: (row, a) => (factors === undefined ? 1 : (rowOf(factors, row)[a] as number)),
  };
}

/** Inputs and outputs as the op `fusion`. */
export function fusion(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
  sizes: Readonly<Record<string, number>> = {},
): Record<string, ReferenceTensor> {
  const read = fusionInputs(inputs, attributes, sizes);
  const { rows, columns, members } = read;
  const [adapters, width] = [members.length, Number(attributes.width)];
  const y = new Float64Array(rows * columns);
  const weights = new Float64Array(rows * adapters);
  for (let row = 0; row < rows; row += 1) {
    const { u, q } = mixRow(read, row, width);
    q.forEach((weight, a) => {
      const share = (members[a] as FusedMember).forced ? 0 : weight;
      weights[row * adapters + a] = share;
      y[row * columns + adapters * width + a] = share;
      (u[a] as number[]).forEach((value, i) => (y[row * columns + a * width + i] = share === 0 ? 0 : share * value));
    });
  }
  return {
    y: { shape: [rows, columns], data: y },
    weights: { shape: [rows, adapters], data: weights },
  };
}

function slotOf(symbol: string, sizes: Readonly<Record<string, number>>): number {
  const slot = sizes[symbol];
  if (slot !== undefined) return slot;
  throw new EngineError("SHAPE", `fusion: no size is given for ${symbol}`, { where: symbol });
}

/** Units of one row, and its softmax before any weight is forced to 0. */
export function mixRow(
  { members, temperature, hidden: hiddenOf, score: scoreOf, factor }: FusionInputs,
  row: number,
  width: number,
): { u: number[][]; q: number[] } {
  const [hidden, scores] = [hiddenOf(row), scoreOf(row)];
  const u = members.map(({ width: active, activation }, a) =>
    Array.from({ length: active }, (_, i) => activate(activation, hidden[a * width + i] as number)),
  );
  const logits = members.map(({ pruned }, a) => {
    if (pruned || factor(row, a) < 0) return -Infinity;
    const sum = (u[a] as number[]).reduce((total, value, i) => total + value * (scores[a * width + i] as number), 0);
    return ((sum + (scores[members.length * width + a] as number)) * factor(row, a)) / temperature;
  });
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => (logit === -Infinity ? 0 : Math.exp(logit - largest)));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return { u, q: powers.map((power) => (power === 0 ? 0 : power / total)) };
}
