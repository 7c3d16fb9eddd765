/** @file Cases of `dropout`: every rate, shapes by fours and not, keys of all ones. */

import { matrix } from "./case-tensors.ts";
import { normal } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";

/** Two roundings, of the factor and of the product: another choice of elements would be off by a whole value. */
const TOLERANCE = 2 * 2 ** -24;

const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [1, 1],
  [0, 4],
  [3, 3],
  [5, 1],
  [17, 8],
  [65, 257],
  [64, 768],
];

interface Setting {
  readonly rate: number;
  readonly stream: number;
  readonly seed: number;
  readonly step: number;
}

const SETTINGS: readonly Setting[] = [
  { rate: 0.1, stream: 0, seed: 0, step: 0 },
  { rate: 0.5, stream: 3, seed: 42, step: 1000 },
  { rate: 0.9, stream: 2 ** 32 - 1, seed: 2 ** 32 - 1, step: 2 ** 32 - 1 },
  { rate: 0, stream: 1, seed: 7, step: 1 },
];

function caseOf([rows, width]: (typeof SHAPES)[number], { rate, stream, seed, step }: Setting): OpCase {
  return {
    name: `${rows}x${width}, rate ${rate}, seed ${seed}, step ${step}, stream ${stream}`,
    attributes: { rate, stream },
    inputs: () => ({
      // Values far from zero, so that one that was left out shows.
      x: matrix(normal(rows + width, rows * width, 0.1, 2), width),
      seed: { shape: [2], data: Uint32Array.of(seed, step) },
    }),
    tolerance: TOLERANCE,
  };
}

/** Shapes by settings, and one to be timed. */
export const dropoutCases: CaseTable = {
  stem: "dropout",
  cases: [
    ...SHAPES.flatMap((shape) => SETTINGS.map((setting) => caseOf(shape, setting))),
    { ...caseOf([512, 768], { rate: 0.1, stream: 1, seed: 1, step: 1 }), bench: true },
  ],
};
