/** @file Cases of `mean-of` and of its gradient: one block, one over, very many; what takes part told by labels or targets. */

import { generator, normal } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

const NO_LABEL = 0xffffffff;

/** Of the mean of up to a million values of one sign. */
const MEAN_ERROR = 1e-6;

interface Setting {
  readonly name: string;
  readonly shape: readonly number[];
  readonly x: (i: number) => number;
  readonly mask?: "labels" | "targets";
  /** Whether element i takes part. */
  readonly part?: (i: number) => boolean;
  readonly divisor?: number;
}

const uniform = generator(5);
const noise = Float32Array.from({ length: 5000 }, uniform);
const positive = (i: number): number => noise[i % 4999] as number;
const most = (i: number): boolean => i % 7 !== 2 && i % 5 !== 0;

const settings: readonly Setting[] = [
  { name: "one", shape: [1], x: positive },
  { name: "none", shape: [0], x: positive },
  { name: "17x3", shape: [17, 3], x: positive },
  { name: "one below a block", shape: [4095], x: positive },
  { name: "a block", shape: [4096], x: positive },
  { name: "one over a block", shape: [4097], x: positive },
  { name: "a million equal ones", shape: [1_000_000], x: () => 0.1 },
  { name: "a million", shape: [1_000_003], x: positive },
  { name: "a large one first", shape: [100_000], x: (i) => (i === 0 ? 1e4 : 1e-4) },
  { name: "by labels", shape: [5001], x: positive, mask: "labels", part: most },
  { name: "by targets", shape: [667, 3], x: positive, mask: "targets", part: most },
  { name: "no part, by labels", shape: [70], x: positive, mask: "labels", part: () => false },
  { name: "no part, by targets", shape: [5, 3], x: positive, mask: "targets", part: () => false },
  { name: "by labels, divisor", shape: [129], x: positive, mask: "labels", part: most, divisor: 1000 },
  { name: "divisor", shape: [129], x: positive, divisor: 512 },
  { name: "divisor 0", shape: [9], x: () => 0, divisor: 0 },
];

function inputsOf({ shape, x, mask, part = () => true, divisor }: Setting): Record<string, CaseTensor> {
  const count = shape.reduce((product, dim) => product * dim, 1);
  const made = (value: (i: number) => number): CaseTensor => ({
    shape,
    // What takes no part is not even looked at.
    data: Float32Array.from({ length: count }, (_, i) => value(i)),
    rows: "rows",
  });
  const labels = Uint32Array.from({ length: count }, (_, i) => (part(i) ? i : NO_LABEL));
  return {
    x: made((i) => (part(i) ? x(i) : NaN)),
    ...(mask === "labels" ? { labels: { shape, data: labels, rows: "rows" } } : {}),
    ...(mask === "targets" ? { targets: made((i) => (part(i) ? 0.5 : NaN)) } : {}),
    ...(divisor === undefined ? {} : { divisor: { shape: [1], data: Uint32Array.of(divisor) } }),
  };
}

function caseOf(setting: Setting): OpCase {
  return { name: setting.name, attributes: {}, inputs: () => inputsOf(setting), tolerance: MEAN_ERROR };
}

function gradientCase(setting: Setting, index: number): OpCase {
  const inputs = (): Record<string, CaseTensor> => {
    const { divisor: _, ...given } = inputsOf(setting);
    const one = (value: number): CaseTensor => ({ shape: [1], data: Float32Array.of(value) });
    return { ...given, scale: one(1 / (3 + index)), dy: one(normal(index, 1)[0] as number) };
  };
  return { ...caseOf(setting), inputs };
}

/** Lengths about a block and far beyond, masks, divisors of the host's. */
export const meanOfCases: CaseTable = { stem: "mean-of", cases: settings.map(caseOf) };

/** The same shapes and masks. */
export const meanOfGradientCases: CaseTable = {
  stem: "mean-of-gradient",
  cases: settings.filter(({ divisor, shape }) => divisor === undefined && (shape[0] as number) < 1e5).map(gradientCase),
};
