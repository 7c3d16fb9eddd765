/** @file The middle of a folded AdapterFusion in float64 (MATHS §2.4). */

import { EngineError } from "../errors.ts";
import { activate } from "./activation.ts";
import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Activations by the code that a record holds. */
const NAMES = ["identity", "relu", "gelu", "gelu_new", "silu", "quick_gelu", "tanh", "sigmoid", "leakyrelu"];
const [FORCED, PRUNED] = [1, 2];

interface Member {
  readonly width: number;
  readonly activation: string;
  readonly flags: number;
}

/** Inputs and outputs as the op `fusion`. With the attribute `slot`, `sizes` holds the row of the table under that symbol. */
export function fusion(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
  sizes: Readonly<Record<string, number>> = {},
): Record<string, ReferenceTensor> {
  const [adapters, width] = [Number(attributes.adapters), Number(attributes.width)];
  const scoreAt = Number(attributes.scoreAt ?? 0);
  const hidden = needTensor("fusion", inputs, "hidden");
  const score = needTensor("fusion", inputs, "score");
  const record = rowOf(
    needTensor("fusion", inputs, "table"),
    attributes.slot === undefined ? 0 : slotOf(String(attributes.slot), sizes),
  );
  const temperature = new Float32Array(Uint32Array.of(record[0] as number).buffer)[0] as number;
  const members = Array.from({ length: adapters }, (_, a): Member => {
    const [active, code, flags] = record.subarray(4 * (a + 1), 4 * (a + 2));
    return {
      width: Math.min(active as number, width),
      activation: NAMES[code as number] as string,
      flags: flags as number,
    };
  });
  const rows = axis(hidden, 0);
  const columns = Math.ceil((adapters * width + adapters) / 8) * 8;
  const y = new Float64Array(rows * columns);
  const weights = new Float64Array(rows * adapters);
  for (let row = 0; row < rows; row += 1) {
    const scores = rowOf(score, row).subarray(scoreAt);
    const { u, p } = mixRow(rowOf(hidden, row), scores, width, temperature, members);
    p.forEach((share, a) => {
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

type Elements = ReferenceTensor["data"];

/** Units and weights of one row. */
function mixRow(
  hidden: Elements,
  scores: Elements,
  width: number,
  temperature: number,
  members: readonly Member[],
): { u: number[][]; p: number[] } {
  const u = members.map(({ width: active, activation }, a) =>
    Array.from({ length: active }, (_, i) => activate(activation, hidden[a * width + i] as number)),
  );
  const logits = members.map(({ flags }, a) => {
    if ((flags & PRUNED) !== 0) return -Infinity;
    const sum = (u[a] as number[]).reduce((total, value, i) => total + value * (scores[a * width + i] as number), 0);
    return (sum + (scores[members.length * width + a] as number)) / temperature;
  });
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => (logit === -Infinity ? 0 : Math.exp(logit - largest)));
  const total = powers.reduce((sum, power) => sum + power, 0);
  const p = powers.map((power, a) =>
    power === 0 || ((members[a] as Member).flags & FORCED) !== 0 ? 0 : power / total,
  );
  return { u, p };
}
