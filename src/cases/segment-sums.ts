/** @file Cases of segment-sums: ragged and empty segments, blocks at their edges, products, segments that are left out. */

import { noSlot } from "../ops/adapter.ts";
import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { lengthsName, slotTables, spoilUnslotted } from "./segment-slots.ts";
import type { SlottedSegments } from "./segment-slots.ts";

interface Setting extends SlottedSegments {
  readonly width: number;
  readonly slot?: number;
  readonly factor?: boolean;
}

/** Blocks have 32 rows. */
const ragged = [1, 5, 0, 31, 32, 33, 0, 64, 65];
const someNone = [2, noSlot, 1, 0, 2, noSlot, noSlot, 1, 2];

const settings: readonly Setting[] = [
  { lengths: [1], width: 1, slots: 1 },
  { lengths: [], width: 4, slots: 1 },
  { lengths: [0, 0], width: 4, slots: 1, slot: 0 },
  { lengths: ragged, width: 3, slots: 3 },
  { lengths: ragged, width: 8, slots: 3, factor: true },
  { lengths: ragged, width: 5, slots: 3, factor: true, named: someNone, slot: 2 },
  { lengths: ragged, width: 12, slots: 3, named: someNone, slot: 0 },
  { lengths: ragged, width: 12, slots: 3, named: ragged.map(() => noSlot), slot: 1, factor: true },
  { lengths: [1031], width: 260, slots: 1, slot: 0, factor: true },
  { lengths: [3, 700], width: 255, slots: 2 },
  // More segments than one dimension of a grid holds workgroups.
  { lengths: Array.from({ length: 65_600 }, (_, s) => (s * 2) % 3), width: 65, slots: 5, slot: 3 },
];

function inputsOf(setting: Setting): Record<string, CaseTensor> {
  const { lengths, width, slot, factor } = setting;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const { segments, segment_slots: like } = slotTables(setting);
  const data = normal(rows + width, rows * width);
  const x = matrix(slot === undefined ? data : spoilUnslotted(data, width, setting), width);
  const shared = { x, segments, like };
  return factor === true ? { ...shared, factor: matrix(normal(rows + 1, rows * width), width) } : shared;
}

/** All kinds of segments. */
export const segmentSumsCases: CaseTable = {
  stem: "segment-sums",
  cases: settings.map((setting): OpCase => {
    const { lengths, width, slot, factor } = setting;
    const more = [...(slot === undefined ? [] : [`slot ${slot}`]), ...(factor === true ? ["products"] : [])];
    return {
      name: [`${lengthsName(lengths)} x ${width}`, ...more].join(", "),
      attributes: slot === undefined ? {} : { slot },
      inputs: () => inputsOf(setting),
      tolerance: toleranceFor(Math.max(1, ...lengths)),
    };
  }),
};
