/** @file Cases of segment-gate: ragged and empty segments, segments without a slot, saturated gates. */

import { noSlot } from "../ops/adapter.ts";
import type { SegmentGateAttributes } from "../ops/segment-gate.ts";
import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { lengthsName, slotTables, spoiledBank, spoilUnslotted } from "./segment-slots.ts";
import type { SlottedSegments } from "./segment-slots.ts";

/** Gates of a bank and segments that name its slots. */
export interface GateSetting extends SlottedSegments {
  readonly width: number;
  /** Gates of a slot. */
  readonly gates: number;
  /** Of these gates only some: the first one taken, and how many. */
  readonly taken?: readonly [first: number, count: number];
  /** Elements of a slot after its biases. */
  readonly padding?: number;
}

/** Deviation of the gate vectors. */
export const DEVIATION = 0.2;
const ragged = [1, 5, 0, 17, 16, 15, 64, 65];

const settings: readonly GateSetting[] = [
  { lengths: [1], width: 1, gates: 1, slots: 1 },
  { lengths: [], width: 4, gates: 2, slots: 1 },
  { lengths: [0, 0], width: 4, gates: 2, slots: 1 },
  { lengths: ragged, width: 3, gates: 2, slots: 3 },
  { lengths: ragged, width: 8, gates: 1, slots: 3, padding: 3, named: [0, 2, 1, noSlot, 2, noSlot, 1, 0] },
  { lengths: ragged, width: 5, gates: 3, slots: 3, named: [2, 2, noSlot, 0, 0, 0, noSlot, 2] },
  // Rows in fours, slots that are not: no vectors.
  { lengths: [257, 2, 255], width: 16, gates: 2, slots: 2, padding: 1 },
  { lengths: [128, 3], width: 768, gates: 2, slots: 2, padding: 2 },
  { lengths: [1031], width: 65, gates: 1, slots: 1 },
  { lengths: ragged, width: 8, gates: 3, slots: 2, taken: [0, 1] },
  { lengths: ragged, width: 8, gates: 3, slots: 2, taken: [1, 2] },
  { lengths: [9, 4], width: 7, gates: 3, slots: 1, taken: [2, 1] },
];

/** The inputs of `segment-gate`. */
export function inputsOf(setting: GateSetting): Record<string, CaseTensor> {
  const { lengths, width, gates, slots, padding = 0 } = setting;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const used = gates * (width + 1);
  const bank = spoiledBank(setting, used + padding, [
    { at: 0, length: used, values: normal(width + gates, slots * used, DEVIATION) },
  ]);
  const x = spoilUnslotted(normal(rows + width, rows * width), width, setting);
  return { x: matrix(x, width), bank, ...slotTables(setting) };
}

/** The attributes of `segment-gate`. */
export function attributesOf({ gates, taken }: GateSetting): SegmentGateAttributes {
  return taken === undefined ? { gates } : { gates: taken[1], firstGate: taken[0], slotGates: gates };
}

function caseOf(setting: GateSetting): OpCase {
  const { lengths, width, gates, named, taken } = setting;
  return {
    name: `${lengthsName(lengths)} x ${width}, gates ${gates}${taken === undefined ? "" : ` from ${taken[0]} ${taken[1]}`}${named?.includes(noSlot) === true ? ", some none" : ""}`,
    attributes: attributesOf(setting),
    inputs: () => inputsOf(setting),
    // A mean of positive terms, and the error of a product of magnitude 0.2 √D, of which a sigmoid passes on a quarter: the
    // largest mean is well above that.
    tolerance: toleranceFor(Math.max(1, ...lengths)) + toleranceFor(width) * DEVIATION * Math.sqrt(width),
  };
}

/** Every product is ±10,000 D, sums of equal whole numbers: gates are 0 and 1. The second gate has the other sign. */
function saturated(width: number): OpCase {
  const lengths = [1, 1, 2, 7, 70];
  const setting: SlottedSegments = { lengths, slots: 1 };
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  return {
    name: `saturated x ${width}`,
    attributes: { gates: 2 },
    inputs: () => {
      const x = Float32Array.from({ length: rows * width }, (_, i) => (Math.floor(i / width) % 2 === 0 ? 1e4 : -1e4));
      const values = Float32Array.from({ length: 2 * (width + 1) }, (_, i) => (i < width ? 1 : -1));
      values.fill(0, 2 * width);
      const bank = spoiledBank(setting, values.length, [{ at: 0, length: values.length, values }]);
      return { x: matrix(x, width), bank, ...slotTables(setting) };
    },
    tolerance: toleranceFor(70),
  };
}

/** Segments, gates and saturation. */
export const segmentGateCases: CaseTable = {
  stem: "segment-gate",
  cases: [...settings.map(caseOf), saturated(3), saturated(48)],
};
