/** @file Cases of `binary-cross-entropy` and of its gradient. */

import { matrix, vector } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

interface Setting {
  readonly name: string;
  readonly classes: number;
  readonly weights?: boolean;
  readonly logits: () => Float32Array;
  /** Target of element i; NaN is missing. 0, 1, missing in turn when absent. */
  readonly target?: (i: number) => number;
}

const SHAPES: readonly (readonly [rows: number, classes: number])[] = [
  [1, 1],
  [3, 2],
  [0, 4],
  [17, 27],
  [65, 4],
];

/** Logits that run from −limit to limit, each with either target. */
function steps(limit: number, count: number): Float32Array {
  return Float32Array.from({ length: 2 * count }, (_, i) => limit * ((2 * Math.floor(i / 2)) / (count - 1) - 1));
}

const either = (i: number): number => i % 2;

const settings: readonly Setting[] = [
  ...SHAPES.flatMap(([rows, classes]): Setting[] =>
    [false, true].map((weights) => ({
      name: `${rows}x${classes}${weights ? ", weighed" : ""}`,
      classes,
      weights,
      logits: () => normal(rows + classes, rows * classes, 3),
    })),
  ),
  { name: "logits to ±1e4", classes: 2, logits: () => steps(1e4, 101), target: either },
  { name: "logits to ±20", classes: 2, logits: () => steps(20, 201), target: either, weights: true },
  // A loss that is all tail: its own scale shows a logarithm of 1 + e that has lost e.
  { name: "tails", classes: 1, logits: () => steps(1, 11).map((value) => 17 + value), target: () => 1 },
  { name: "soft targets", classes: 4, logits: () => normal(7, 64), target: (i) => (i % 5) / 4 },
  { name: "all missing", classes: 3, logits: () => normal(8, 30), target: () => NaN },
];

function inputsOf({
  classes,
  weights = false,
  logits,
  target = (i) => [0, 1, NaN][i % 3] as number,
}: Setting): Record<string, CaseTensor> {
  const data = logits();
  return {
    logits: matrix(data, classes),
    targets: matrix(
      data.map((_, i) => target(i)),
      classes,
    ),
    ...(weights ? { weights: vector(Float32Array.from({ length: classes }, (_, c) => 0.5 + c)) } : {}),
  };
}

function caseOf(setting: Setting): OpCase {
  // The exponential alone is off by 3 + 2|x| units in the last place; it is below 1 / |x| of the scale or dwarfed by |x|.
  return { name: setting.name, attributes: {}, inputs: () => inputsOf(setting), tolerance: toleranceFor(16) };
}

function gradientCase(setting: Setting): OpCase {
  const inputs = (): Record<string, CaseTensor> => {
    const given = inputsOf(setting);
    return { ...given, dy: matrix(normal(98, (given.logits as CaseTensor).data.length), setting.classes) };
  };
  return { ...caseOf(setting), inputs };
}

/** Tails are wholly exponentials of numbers up to 18. */
function withTails(cases: readonly OpCase[]): OpCase[] {
  return cases.map((one) => (one.name === "tails" ? { ...one, tolerance: 64 * 2 ** -24 } : one));
}

/** Shapes, large logits, tails, soft and missing targets. */
export const binaryCrossEntropyCases: CaseTable = {
  stem: "binary-cross-entropy",
  cases: withTails(settings.map(caseOf)),
};

/** The same, with normal gradients of the losses. */
export const binaryCrossEntropyGradientCases: CaseTable = {
  stem: "binary-cross-entropy-gradient",
  cases: withTails(settings.map(gradientCase)),
};
