/** @file Cases of `fusion`: counts and widths of adapters, large and equal scores, forced and pruned adapters, stale slots. */

import { activationCodes } from "../ops/activation.ts";
import { fusionColumns, fusionRecord, fusionRecordWords } from "../ops/fusion.ts";
import type { FusionMember } from "../ops/fusion.ts";
import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

/** What a case is drawn from. */
export interface FusionSetting {
  readonly name: string;
  readonly rows: number;
  readonly width: number;
  /** Active widths, relu where only a number is given; unless all are used, NaN stands in the rest. */
  readonly members: readonly (number | FusionMember)[];
  /** Adapters that there is room for; as many as members when absent. */
  readonly room?: number;
  readonly temperature?: number;
  /** Standard deviation of the hidden part and of score coefficients. */
  readonly deviation?: number;
  /** Offset of adapter a in a row. */
  readonly offset?: (a: number, row: number) => number;
  /** hidden and score are two tensors, as where the query is not what the adapters read. */
  readonly apart?: boolean;
  /** The table holds other fusions before and behind this one, which is named at run time. */
  readonly slotted?: boolean;
  /** The factor of the score of adapter a in a row; below 0 it is not there. */
  readonly factor?: (a: number, row: number) => number;
  readonly bench?: boolean;
}

const { relu, gelu } = activationCodes;
const everyActivation = [...new Set(Object.values(activationCodes))];
const repeated = (count: number, width: number): number[] => Array.from({ length: count }, () => width);
const member = (width: number, state: NonNullable<FusionMember["state"]>): FusionMember => ({
  width,
  activation: gelu,
  state,
});

/** The settings of all cases. */
export const fusionSettings: readonly FusionSetting[] = [
  { name: "1 row, 1 adapter of 1", rows: 1, width: 4, members: [1] },
  { name: "no rows", rows: 0, width: 8, members: [8, 8] },
  { name: "one of three fusions", rows: 17, width: 8, members: [8, member(5, "forced"), 3], slotted: true },
  { name: "2 adapters of 48", rows: 33, width: 48, members: [48, 48] },
  { name: "2 adapters of 48, query apart", rows: 17, width: 48, members: [48, 48], apart: true },
  { name: "3 adapters, odd widths", rows: 16, width: 8, members: [7, 3, 8] },
  { name: "8 adapters of 48", rows: 19, width: 48, members: repeated(8, 48) },
  { name: "16 adapters of 12", rows: 15, width: 12, members: repeated(16, 12) },
  { name: "16 adapters of 64, past a workgroup", rows: 3, width: 64, members: repeated(16, 63) },
  { name: "65 adapters of 1", rows: 5, width: 4, members: repeated(65, 1) },
  { name: "2 adapters of 384", rows: 3, width: 384, members: [384, 381] },
  { name: "more than workgroup memory", rows: 2, width: 1024, members: repeated(64, 1021) },
  {
    name: "every activation",
    rows: 18,
    width: 8,
    members: everyActivation.map((activation) => ({ width: 7, activation })),
  },
  { name: "scores of ±10,000", rows: 17, width: 8, members: repeated(8, 8), offset: (a) => (a % 2 === 0 ? 1e4 : -1e4) },
  { name: "scores around 10,000", rows: 17, width: 8, members: repeated(4, 8), offset: () => 1e4 },
  {
    name: "one dominant score",
    rows: 17,
    width: 8,
    members: repeated(4, 8),
    offset: (a, row) => (a === row % 4 ? 300 : 0),
  },
  { name: "equal scores", rows: 9, width: 8, members: repeated(4, 8), deviation: 0, offset: () => 3.7 },
  { name: "denormals", rows: 9, width: 8, members: repeated(4, 8), deviation: 1e-20, offset: () => 1e-40 },
  { name: "temperature 50", rows: 17, width: 8, members: repeated(4, 8), temperature: 50, deviation: 3 },
  { name: "temperature 0.5", rows: 17, width: 8, members: repeated(4, 8), temperature: 0.5 },
  { name: "one forced to 0", rows: 17, width: 8, members: [8, member(8, "forced"), 8] },
  { name: "one pruned", rows: 17, width: 8, members: [8, member(8, "pruned"), 8, 5] },
  { name: "one left", rows: 17, width: 8, members: [member(8, "pruned"), 8, member(8, "pruned")] },
  { name: "all pruned", rows: 17, width: 8, members: [member(8, "pruned"), member(8, "pruned")] },
  { name: "all forced", rows: 17, width: 8, members: [member(8, "forced"), member(8, "forced")] },
  { name: "factors, 0 among them", rows: 17, width: 8, members: [8, 5, 8], factor: (a, row) => ((a + row) % 3) * 0.75 },
  {
    name: "factors below 0 leave adapters out, in one row all",
    rows: 17,
    width: 8,
    members: [8, member(8, "forced"), 8, 5],
    factor: (a, row) => (row === 5 || (a + row) % 3 === 0 ? -1 : 1.25),
  },
  { name: "room for more", rows: 17, width: 8, members: [8, 8], room: 5 },
  { name: "8 adapters of 48, n = 128", rows: 128, width: 48, members: repeated(8, 48), bench: true },
  { name: "16 adapters of 48, n = 128", rows: 128, width: 48, members: repeated(16, 48), bench: true },
];

const membersOf = ({ members }: FusionSetting): FusionMember[] =>
  members.map((value) => (typeof value === "number" ? { width: value, activation: relu } : value));

/** Both parts of all rows, side by side. What no adapter uses is NaN: it must never be read into a result. */
function partsOf(setting: FusionSetting): { hidden: Float32Array; score: Float32Array; columns: number } {
  const { rows, width, deviation = 1, offset = (a: number): number => a / 8 } = setting;
  const members = membersOf(setting);
  const room = setting.room ?? members.length;
  const columns = fusionColumns(room, width);
  const hidden = normal(rows + width, rows * room * width, deviation);
  const score = normal(rows + room, rows * columns, deviation / 4);
  for (let row = 0; row < rows; row += 1) {
    const [h, s] = [row * room * width, row * columns];
    for (let a = 0; a < room; a += 1) {
      const { width: active, state } = members[a] ?? { width: 0, state: "pruned" };
      const used = state === "pruned" ? 0 : active;
      hidden.fill(NaN, h + a * width + used, h + (a + 1) * width);
      score.fill(NaN, s + a * width + used, s + (a + 1) * width);
      score[s + room * width + a] = state === "pruned" ? NaN : offset(a, row);
    }
  }
  return { hidden, score, columns };
}

/** The factor of every row and adapter; none without. What is left out may hold anything. */
function factorOf({ rows, members, room = members.length, factor }: FusionSetting): Record<string, CaseTensor> {
  if (factor === undefined) return {};
  const data = Float32Array.from({ length: rows * room }, (_, at) => factor(at % room, Math.floor(at / room)));
  return { factor: matrix(data, room) };
}

/** Inputs of a setting. */
export function fusionInputs(setting: FusionSetting): Record<string, CaseTensor> {
  const { rows, width, members, room = members.length, temperature = 1 } = setting;
  const { hidden, score, columns } = partsOf(setting);
  const record = fusionRecord(room, temperature, membersOf(setting));
  const other = fusionRecord(room, 9, []);
  const records = setting.slotted === true ? [...other, ...record, ...other] : [...record];
  const words = fusionRecordWords(room);
  const table: CaseTensor = { shape: [records.length / words, words], data: Uint32Array.from(records) };
  const given = { table, ...factorOf(setting) };
  if (setting.apart === true) return { hidden: matrix(hidden, room * width), score: matrix(score, columns), ...given };
  const both = new Float32Array(rows * (room * width + columns));
  for (let row = 0; row < rows; row += 1) {
    const at = row * (room * width + columns);
    both.set(hidden.subarray(row * room * width, (row + 1) * room * width), at);
    both.set(score.subarray(row * columns, (row + 1) * columns), at + room * width);
  }
  const joint = matrix(both, room * width + columns);
  return { hidden: joint, score: joint, ...given };
}

/**
 * A weight moves by at most half of the distance of two scores' errors: p (1 − p) <= 1/4, twice. A score of B terms errs by
 * {@link toleranceFor} times its magnitude: √B products of standard deviation σ²/4 each, and its offset; then T divides.
 */
export function fusionTolerance(setting: FusionSetting): number {
  const { width, deviation = 1, temperature = 1, offset = (a: number): number => a / 8 } = setting;
  const offsets = setting.members.map((_, a) => Math.abs(offset(a, a)));
  const magnitude = (Math.sqrt(width) * deviation ** 2 + Math.max(...offsets)) / temperature;
  return toleranceFor(width) * (1 + magnitude / 2);
}

function caseOf(setting: FusionSetting): OpCase {
  const { width, members, room = members.length } = setting;
  const slotted = setting.slotted === true;
  return {
    name: setting.name,
    attributes: {
      adapters: room,
      width,
      ...(setting.apart === true ? {} : { scoreAt: room * width }),
      ...(slotted ? { slot: "fusion" } : {}),
    },
    inputs: () => fusionInputs(setting),
    tolerance: fusionTolerance(setting),
    ...(slotted ? { sizes: { fusion: 1 } } : {}),
    ...(setting.bench === true ? { bench: true } : {}),
  };
}

/** Cases of `fusion`. */
export const fusionCases: CaseTable = { stem: "fusion", cases: fusionSettings.map(caseOf) };
