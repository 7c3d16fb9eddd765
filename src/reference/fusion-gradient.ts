/** @file The way back through the middle of a folded AdapterFusion, in float64. */

import { activationSlope } from "./activation-gradient.ts";
import { fusionInputs, mixRow } from "./fusion.ts";
import type { FusedMember } from "./fusion.ts";
import { needTensor, rowOf } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `fusion-gradient`. */
export function fusionGradient(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
  sizes: Readonly<Record<string, number>> = {},
): Record<string, ReferenceTensor> {
  const read = fusionInputs(inputs, attributes, sizes);
  const dy = needTensor("fusion-gradient", inputs, "dy");
  const { rows, columns, members, temperature } = read;
  const [adapters, width] = [members.length, Number(attributes.width)];
  const dscore = new Float64Array(rows * columns);
  const dhidden = new Float64Array(rows * adapters * width);
  for (let row = 0; row < rows; row += 1) {
    const { u, q } = mixRow(read, row, width);
    const [own, hidden, score] = [rowOf(dy, row), read.hidden(row), read.score(row)];
    const isShown = (a: number): boolean => !(members[a] as FusedMember).forced && q[a] !== 0;
    const dp = members.map((_, a) =>
      isShown(a)
        ? (u[a] as number[]).reduce(
            (sum, value, i) => sum + value * (own[a * width + i] as number),
            own[adapters * width + a] as number,
          )
        : 0,
    );
    const mean = dp.reduce((sum, value, a) => sum + value * (q[a] as number), 0);
    members.forEach(({ activation }, a) => {
      if (q[a] === 0) return;
      const g = ((q[a] as number) * ((dp[a] as number) - mean) * read.factor(row, a)) / temperature;
      dscore[row * columns + adapters * width + a] = g;
      (u[a] as number[]).forEach((value, i) => {
        const at = a * width + i;
        dscore[row * columns + at] = g * value;
        const du = (isShown(a) ? (q[a] as number) * (own[at] as number) : 0) + g * (score[at] as number);
        dhidden[row * adapters * width + at] = du * activationSlope(activation, hidden[at] as number);
      });
    });
  }
  return {
    dscore: { shape: [rows, columns], data: dscore },
    ...(attributes.hidden === true ? { dhidden: { shape: [rows, adapters * width], data: dhidden } } : {}),
  };
}
