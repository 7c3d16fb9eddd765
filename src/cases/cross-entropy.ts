/** @file Cases of `cross-entropy` and of its gradient: the same logits, labels and smoothing. */

import { crossEntropy as reference } from "../reference/cross-entropy.ts";
import { hardRows, matrix } from "./case-tensors.ts";
import { generator, normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { referenceInputs } from "./check.ts";

const NO_LABEL = 0xffffffff;

interface Setting {
  readonly name: string;
  readonly classes: number;
  readonly logits: () => Float32Array;
  readonly smoothing?: number;
  /** Every which row takes no part, by the label that means so or by one past the classes; every third when absent. */
  readonly masked?: number;
  readonly bench?: boolean;
}

const SHAPES: readonly (readonly [rows: number, classes: number, smoothing: number])[] = [
  [1, 1, 0],
  [3, 2, 0.1],
  [17, 4, 0],
  [65, 9, 0.1],
  [66, 48, 0],
  [0, 4, 0],
  [5, 767, 0.1],
  [17, 768, 0],
  // One over what one pass of a workgroup's row covers, and rows of many invocations, by fours and singly.
  [3, 257, 0.1],
  [2, 4096, 0],
  [2, 30_522, 0.1],
];

const shaped: readonly Setting[] = SHAPES.map(([rows, classes, smoothing]) => ({
  name: `${rows}x${classes}, ε ${smoothing}`,
  classes,
  smoothing,
  logits: () => normal(rows + classes, rows * classes, 3),
}));

const hard: readonly Setting[] = [
  { name: "logits of ±1e4", classes: 7, logits: () => normal(1, 119).map((value) => (value > 0 ? 1e4 : -1e4)) },
  { name: "logits around 1e4, ε 0.1", classes: 48, smoothing: 0.1, logits: () => hardRows("offset", 5, 48) },
  { name: "all equal", classes: 48, logits: () => hardRows("equal", 5, 48) },
  { name: "one dominant, ε 0.1", classes: 51, smoothing: 0.1, logits: () => hardRows("dominant", 7, 51) },
  { name: "denormals", classes: 51, logits: () => hardRows("denormal", 5, 51) },
  // Classes that are ruled out, never the label's.
  { name: "-inf", classes: 8, logits: () => normal(2, 64).map((value, i) => (i % 8 > 5 ? -Infinity : value)) },
  { name: "no row takes part", classes: 5, masked: 1, logits: () => normal(3, 35) },
  { name: "512x512", classes: 512, logits: () => normal(4, 512 * 512, 3), bench: true },
  { name: "77x30522", classes: 30_522, masked: 78, logits: () => normal(5, 77 * 30_522, 3), bench: true },
];

function labelsOf(rows: number, { classes, masked = 3 }: Setting): CaseTensor {
  const uniform = generator(rows + classes);
  const below = Math.min(classes, classes === 8 ? 6 : classes);
  const data = Uint32Array.from({ length: rows }, (_, row) => {
    if (row % masked !== masked - 1) return Math.floor(uniform() * below);
    return row % 2 === 0 ? NO_LABEL : classes;
  });
  if (rows > 0 && masked > 1) data[0] = below - 1;
  return { shape: [rows], data, rows: "rows" };
}

function inputsOf(setting: Setting): Record<string, CaseTensor> {
  const logits = matrix(setting.logits(), setting.classes);
  return { logits, labels: labelsOf(logits.shape[0] as number, setting) };
}

/** Of a sum of runs of 32 exponentials, and of such runs. */
function toleranceOf(classes: number): number {
  return toleranceFor(32 + classes / 32);
}

function caseOf(setting: Setting): OpCase {
  return {
    name: setting.name,
    attributes: { labelSmoothing: setting.smoothing },
    inputs: () => inputsOf(setting),
    tolerance: toleranceOf(setting.classes),
    ...(setting.bench === true ? { bench: true } : {}),
  };
}

/** The forward pass comes rounded from float64. */
function gradientCase(setting: Setting): OpCase {
  const attributes = { labelSmoothing: setting.smoothing };
  const inputs = (): Record<string, CaseTensor> => {
    const given = inputsOf(setting);
    const rows = given.labels?.shape[0] as number;
    const normalizer = reference(referenceInputs(given), attributes).normalizer?.data as Float64Array;
    return {
      ...given,
      normalizer: matrix(Float32Array.from(normalizer), 2),
      dy: { shape: [rows], data: normal(99, rows), rows: "rows" },
    };
  };
  return { ...caseOf(setting), inputs };
}

/** Shapes up to a vocabulary, logits that overflow or vanish without care, rows that take no part. */
export const crossEntropyCases: CaseTable = { stem: "cross-entropy", cases: [...shaped, ...hard].map(caseOf) };

/** The same, with normal gradients of the losses. */
export const crossEntropyGradientCases: CaseTable = {
  stem: "cross-entropy-gradient",
  cases: [...shaped, ...hard].map(gradientCase),
};
