/** @file Cases of segment-affine: every combination of terms, places inside a slot, segments without one. */

import { noSlot } from "../ops/adapter.ts";
import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { lengthsName, slotTables, spoiledBank, spoilUnslotted } from "./segment-slots.ts";
import type { SlottedSegments } from "./segment-slots.ts";

interface Setting extends SlottedSegments {
  readonly width: number;
  readonly scaleAt?: number;
  readonly shiftAt?: number;
  readonly firstColumn?: number;
  /** Elements after the last one in use. */
  readonly padding?: number;
  readonly residual?: boolean;
  readonly deviation?: number;
}

const ragged = [1, 5, 0, 17, 16, 0, 4, 33];
const someNone = [2, noSlot, 1, 0, 2, noSlot, noSlot, 1];

/** Scale and shift side by side in a slot. */
const both = (width: number): Pick<Setting, "width" | "scaleAt" | "shiftAt"> => ({ width, scaleAt: 0, shiftAt: width });

const settings: readonly Setting[] = [
  { ...both(1), lengths: [1], slots: 1 },
  { ...both(3), lengths: [1], slots: 1, residual: true },
  { ...both(8), lengths: [], slots: 1 },
  { ...both(8), lengths: [0], slots: 1, residual: true },
  { ...both(5), lengths: ragged, slots: 3, named: someNone },
  { ...both(8), lengths: ragged, slots: 3, named: someNone },
  { ...both(255), lengths: [3, 65], slots: 2, residual: true },
  { ...both(260), lengths: [65, 3], slots: 2, named: [1, noSlot], residual: true },
  { ...both(768), lengths: [7, 2], slots: 4, named: [3, 2], residual: true },
  // Rows in fours, a bank that is not: no vectors.
  { ...both(8), lengths: ragged, slots: 3, padding: 1, residual: true },
  { width: 8, scaleAt: 2, shiftAt: 12, lengths: [9, 2], slots: 2, padding: 2 },
  // A part of the columns, as of a matrix cut in three.
  { width: 16, scaleAt: 0, shiftAt: 48, firstColumn: 32, lengths: [9, 2], slots: 2, residual: true },
  { width: 7, scaleAt: 21, shiftAt: 0, firstColumn: 7, lengths: ragged, slots: 3, named: someNone, residual: true },
  { width: 12, scaleAt: 4, lengths: ragged, slots: 3, named: someNone, residual: true },
  { width: 12, shiftAt: 8, lengths: ragged, slots: 3, named: someNone },
  { width: 12, lengths: ragged, slots: 3, padding: 4, named: someNone },
  { width: 6, lengths: ragged, slots: 3, padding: 4, named: someNone, residual: true },
  { ...both(48), lengths: [17], slots: 1, residual: true, deviation: 1e15 },
  { ...both(48), lengths: [17], slots: 1, residual: true, deviation: 1e-39 },
  // More segments and more rows than one dimension of a grid holds.
  { ...both(1), lengths: Array.from({ length: 65_600 }, (_, s) => (s * 2) % 3), slots: 5 },
];

function inputsOf(setting: Setting): Record<string, CaseTensor> {
  const { width, lengths, slots, scaleAt, shiftAt, firstColumn = 0, padding = 0, deviation = 1 } = setting;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const parts = [scaleAt, shiftAt].flatMap((at, which) => {
    if (at === undefined) return [];
    return [{ at: at + firstColumn, length: width, values: normal(which + width, slots * width, 1, 1 - which) }];
  });
  const stride = Math.max(1, ...parts.map(({ at }) => at + width)) + padding;
  const x = normal(rows + width, rows * width, deviation);
  const bank = spoiledBank(setting, stride, parts);
  if (setting.residual !== true) return { x: matrix(x, width), bank, ...slotTables(setting) };
  const residual = matrix(normal(rows + 1, rows * width), width);
  return { x: matrix(spoilUnslotted(x, width, setting), width), residual, bank, ...slotTables(setting) };
}

function caseOf(setting: Setting): OpCase {
  const { width, scaleAt, shiftAt, firstColumn, residual, deviation } = setting;
  const terms = Object.entries({ scaleAt, shiftAt, firstColumn }).flatMap(([term, at]) =>
    at === undefined ? [] : [`${term} ${at}`],
  );
  const more = [
    ...terms,
    ...(residual === true ? ["residual"] : []),
    ...(setting.padding === undefined ? [] : [`padding ${setting.padding}`]),
    ...(setting.named?.includes(noSlot) === true ? ["some none"] : []),
    ...(deviation === undefined ? [] : [`deviation ${deviation}`]),
  ];
  return {
    name: [`${lengthsName(setting.lengths)} x ${width}`, ...more].join(", "),
    attributes: { scaleAt, shiftAt, firstColumn },
    inputs: () => inputsOf(setting),
    // Three terms.
    tolerance: toleranceFor(3),
  };
}

/** Terms, places, segments; a case without arithmetic is exact. */
export const segmentAffineCases: CaseTable = {
  stem: "segment-affine",
  cases: [
    ...settings.map(caseOf),
    ...[true, false].map((residual) => {
      const setting = { ...both(5), lengths: ragged, slots: 2, named: ragged.map(() => noSlot), residual };
      return { ...caseOf(setting), name: `all none${residual ? ", residual" : ""}`, tolerance: 0, exact: ["y"] };
    }),
  ],
};
