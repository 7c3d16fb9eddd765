/** @file What the gradients of the norms share in float64: rows one by one, sums over them for the row vectors. */

import { axis, needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** A row as the norm has it: normed values and 1 / √(… + eps). */
interface NormedRow {
  readonly normed: Float64Array;
  readonly scale: number;
}

/** @returns the mean of f(i) over `count` values. */
function mean(count: number, f: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i += 1) sum += f(i);
  return sum / count;
}

/**
 * Inputs and outputs as the ops `layer-norm-gradient` and `rms-norm-gradient`.
 * @param centred the norm subtracts the mean, and has a beta
 */
export function normGradientRows(
  op: string,
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
  centred: boolean,
): Record<string, ReferenceTensor> {
  const x = needTensor(op, inputs, "x");
  const gamma = needTensor(op, inputs, "gamma").data;
  const dy = needTensor(op, inputs, "dy");
  const [rows, width] = [axis(x, 0), axis(x, 1)];
  const dx = new Float64Array(rows * width);
  const dgamma = new Float64Array(width);
  const dbeta = new Float64Array(width);
  for (let row = 0; row < rows; row += 1) {
    const slopes = rowOf(dy, row);
    const { normed, scale } = normRow(rowOf(x, row), Number(attributes.eps), centred);
    const g = (c: number): number => (gamma[c] as number) * (slopes[c] as number);
    const middle = centred ? mean(width, g) : 0;
    const along = mean(width, (c) => g(c) * (normed[c] as number));
    for (let c = 0; c < width; c += 1) {
      const at = row * width + c;
      dx[at] = scale * (g(c) - middle - (normed[c] as number) * along) + (inputs.residual?.data[at] ?? 0);
      dgamma[c] = (dgamma[c] as number) + (slopes[c] as number) * (normed[c] as number);
      dbeta[c] = (dbeta[c] as number) + (slopes[c] as number);
    }
  }
  const outputs = { dx: { shape: x.shape, data: dx } };
  if (attributes.affine !== true) return outputs;
  const vectors = { ...outputs, dgamma: { shape: [width], data: dgamma } };
  return centred ? { ...vectors, dbeta: { shape: [width], data: dbeta } } : vectors;
}

function normRow(row: Float64Array | Uint32Array, eps: number, centred: boolean): NormedRow {
  const middle = centred ? mean(row.length, (c) => row[c] as number) : 0;
  const power = mean(row.length, (c) => ((row[c] as number) - middle) ** 2);
  const scale = 1 / Math.sqrt(power + eps);
  return { normed: Float64Array.from(row, (value) => (value - middle) * scale), scale };
}
