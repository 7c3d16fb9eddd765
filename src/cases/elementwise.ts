/** @file Cases of `elementwise`: every operation × every kind of second operand. */

import type { ElementwiseOperation } from "../ops/elementwise.ts";
import { matrix, vector } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

const BINARY: readonly ElementwiseOperation[] = ["add", "sub", "mul", "max", "hypot", "div"];
const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [1, 1],
  [3, 3],
  [17, 4],
  [65, 48],
  [0, 48],
  [5, 1000],
];

// WGSL's log is right to 2^-21 around 1, where the result is small; the scale of these cases is above 1.
const LOG_TOLERANCE = 2 ** -21;

function binary(operation: ElementwiseOperation, second: string, rows: number, width: number): OpCase {
  const seconds: Record<string, () => CaseTensor> = {
    same: () => matrix(normal(2, rows * width), width),
    row: () => vector(normal(3, width)),
    one: () => vector(Float32Array.of(-1.7)),
  };
  return {
    name: `${operation} ${second} ${rows}x${width}`,
    attributes: { operation },
    inputs: () => ({ a: matrix(normal(1, rows * width), width), b: (seconds[second] as () => CaseTensor)() }),
    tolerance: toleranceFor(1),
  };
}

function unary(operation: ElementwiseOperation, width: number, tolerance: number): OpCase {
  // Magnitudes from e^-12 to e^12, and 1 in every row.
  const values = (): Float32Array =>
    normal(4, 33 * width, 3).map((value, i) => (i % width === 0 ? 1 : Math.exp(Math.max(-12, Math.min(12, value)))));
  return {
    name: `${operation} 33x${width}`,
    attributes: { operation },
    inputs: () => ({ a: matrix(values(), width) }),
    tolerance,
  };
}

/** Every operation. */
export const elementwiseCases: CaseTable = {
  stem: "elementwise",
  cases: [
    ...BINARY.flatMap((operation) =>
      ["same", "row", "one"].flatMap((second) => SHAPES.map(([rows, width]) => binary(operation, second, rows, width))),
    ),
    ...[3, 4, 40].flatMap((width) => [unary("log", width, LOG_TOLERANCE), unary("sqrt", width, toleranceFor(1))]),
    { ...binary("add", "same", 512, 768), bench: true },
  ],
};
