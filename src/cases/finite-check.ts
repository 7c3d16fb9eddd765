/** @file Cases of `finite-check`: the wrong value first, last, at the ends of blocks, and nowhere. */

import { normal } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

/** The largest f32, the smallest denormal, and a NaN with other bits than the usual one stand for what bits can mislead. */
const LARGEST = 3.4028234663852886e38;

interface Setting {
  readonly name: string;
  readonly shape: readonly number[];
  /** Values by place. */
  readonly wrong?: Readonly<Record<number, number>>;
}

const SETTINGS: readonly Setting[] = [
  { name: "one, finite", shape: [1] },
  { name: "one, NaN", shape: [1], wrong: { 0: NaN } },
  { name: "none", shape: [0] },
  { name: "finite", shape: [65, 129] },
  { name: "huge and tiny", shape: [9, 7], wrong: { 3: LARGEST, 4: -LARGEST, 5: 1e-45, 6: -0 } },
  { name: "infinity", shape: [9, 7], wrong: { 62: Infinity } },
  { name: "minus infinity", shape: [9, 7], wrong: { 61: -Infinity } },
  { name: "several", shape: [100, 100], wrong: { 9999: NaN, 7001: Infinity, 7002: NaN, 4097: -Infinity } },
  { name: "end of a block", shape: [8192], wrong: { 4095: NaN } },
  { name: "start of a block", shape: [8193], wrong: { 4096: NaN, 8192: NaN } },
  { name: "last", shape: [8193], wrong: { 8192: NaN } },
  { name: "the first block of a second round", shape: [600_001], wrong: { [64 * 4096 + 5]: NaN } },
  { name: "many blocks", shape: [600_001], wrong: { 600_000: Infinity } },
];

function caseOf({ name, shape, wrong = {} }: Setting): OpCase {
  return {
    name,
    attributes: {},
    inputs: (): Record<string, CaseTensor> => {
      const data = normal(
        3,
        shape.reduce((product, dim) => product * dim, 1),
      );
      for (const [place, value] of Object.entries(wrong)) data[Number(place)] = value;
      return { x: { shape, data, rows: "rows" } };
    },
    tolerance: 0,
    exact: ["y"],
  };
}

/** Places and kinds of values that are not finite. */
export const finiteCheckCases: CaseTable = { stem: "finite-check", cases: SETTINGS.map(caseOf) };
