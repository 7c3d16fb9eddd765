/** @file Cases of segment-combine: both modes, groups of columns, weights on the edge, values not chosen that are not finite. */

import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { lengthsName } from "./segment-slots.ts";
import { segmentTable } from "./segment-tables.ts";

interface Setting {
  readonly lengths: readonly number[];
  readonly width: number;
  readonly groups: number;
}

const ragged = [1, 5, 0, 17, 16, 0, 4, 33];

const settings: readonly Setting[] = [
  { lengths: [1], width: 1, groups: 1 },
  { lengths: [], width: 8, groups: 2 },
  { lengths: [0], width: 8, groups: 1 },
  { lengths: ragged, width: 3, groups: 3 },
  { lengths: ragged, width: 5, groups: 1 },
  { lengths: ragged, width: 12, groups: 3 },
  // Rows in fours, groups that are not: no vectors.
  { lengths: ragged, width: 12, groups: 2 },
  { lengths: [3, 65], width: 255, groups: 5 },
  { lengths: [65, 3], width: 260, groups: 1 },
  { lengths: [7, 2], width: 768, groups: 2 },
  // More segments and more rows than one dimension of a grid holds.
  { lengths: Array.from({ length: 65_600 }, (_, s) => (s * 2) % 3), width: 2, groups: 2 },
];

const rowsOf = ({ lengths }: Setting): number => lengths.reduce((sum, length) => sum + length, 0);

function added(setting: Setting, withA: boolean): OpCase {
  const { lengths, width, groups } = setting;
  const rows = rowsOf(setting);
  return {
    name: `add, ${lengthsName(lengths)} x ${width}, groups ${groups}${withA ? "" : ", without a"}`,
    attributes: { mode: "add" },
    inputs: () => ({
      b: matrix(normal(rows + width, rows * width), width),
      weight: matrix(normal(groups, lengths.length * groups), groups, "segments"),
      segments: segmentTable(lengths),
      ...(withA ? { a: matrix(normal(rows + 1, rows * width), width) } : {}),
    }),
    // Two terms.
    tolerance: toleranceFor(2),
  };
}

/** The float after 0.5. */
const ABOVE_HALF = 0.5 + 2 ** -24;
const WEIGHTS = [0, 1, 0.5, ABOVE_HALF, -3, 0.501, 0.499];

/** Whether each column of each row takes b; every other value is NaN or infinite. */
function chosenInputs(setting: Setting): Record<string, CaseTensor> {
  const { lengths, width, groups } = setting;
  const rows = rowsOf(setting);
  const weight = Float32Array.from(
    { length: lengths.length * groups },
    (_, i) => WEIGHTS[i % WEIGHTS.length] as number,
  );
  const a = normal(rows + 1, rows * width);
  const b = normal(rows + width, rows * width);
  let at = 0;
  lengths.forEach((length, s) => {
    for (const end = at + length * width; at < end; at += 1) {
      const w = weight[s * groups + Math.floor((at % width) / (width / groups))] as number;
      (w > 0.5 ? a : b)[at] = [NaN, Infinity, -Infinity][at % 3] as number;
    }
  });
  return {
    a: matrix(a, width),
    b: matrix(b, width),
    weight: matrix(weight, groups, "segments"),
    segments: segmentTable(lengths),
  };
}

function chosen(setting: Setting): OpCase {
  const { lengths, width, groups } = setting;
  return {
    name: `choose, ${lengthsName(lengths)} x ${width}, groups ${groups}`,
    attributes: { mode: "choose" },
    inputs: () => chosenInputs(setting),
    tolerance: 0,
    exact: ["y"],
  };
}

/** Modes, groups and segments. */
export const segmentCombineCases: CaseTable = {
  stem: "segment-combine",
  cases: settings.flatMap((setting) => [added(setting, true), added(setting, false), chosen(setting)]),
};
