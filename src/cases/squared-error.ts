/** @file Cases of `squared-error` and of its gradient. */

import { hardRows, matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [1, 1],
  [0, 3],
  [17, 3],
  [65, 4],
];

interface Setting {
  readonly name: string;
  readonly width: number;
  readonly predictions: () => Float32Array;
  readonly target?: (i: number) => number;
}

const settings: readonly Setting[] = [
  ...SHAPES.map(([rows, width]) => ({
    name: `${rows}x${width}`,
    width,
    predictions: () => normal(rows + width, rows * width),
  })),
  { name: "of 1e4", width: 5, predictions: () => hardRows("alternating", 6, 5) },
  { name: "all missing", width: 2, predictions: () => normal(1, 8), target: () => NaN },
];

function inputsOf({
  width,
  predictions,
  target = (i) => (i % 4 === 3 ? NaN : Math.sin(i)),
}: Setting): Record<string, CaseTensor> {
  const data = predictions();
  return {
    predictions: matrix(data, width),
    targets: matrix(
      data.map((_, i) => target(i)),
      width,
    ),
  };
}

function caseOf(setting: Setting): OpCase {
  return { name: setting.name, attributes: {}, inputs: () => inputsOf(setting), tolerance: toleranceFor(1) };
}

function gradientCase(setting: Setting): OpCase {
  const inputs = (): Record<string, CaseTensor> => {
    const given = inputsOf(setting);
    return { ...given, dy: matrix(normal(97, (given.predictions as CaseTensor).data.length), setting.width) };
  };
  return { ...caseOf(setting), inputs };
}

/** Shapes, large values, missing targets. */
export const squaredErrorCases: CaseTable = { stem: "squared-error", cases: settings.map(caseOf) };

/** The same, with normal gradients of the losses. */
export const squaredErrorGradientCases: CaseTable = {
  stem: "squared-error-gradient",
  cases: settings.map(gradientCase),
};
