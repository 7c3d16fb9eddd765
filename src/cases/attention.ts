/** @file Cases of attention and of its probabilities: the same inputs serve both ops. */

import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { segmentTable } from "./segment-tables.ts";

/** What varies between the cases. */
export interface AttentionSetting {
  readonly name: string;
  readonly heads: number;
  readonly headWidth: number;
  /** Tokens per segment. */
  readonly lengths: readonly number[];
  /** Selected in-segment positions per segment: the query rows. All rows when absent. */
  readonly selected?: readonly (readonly number[])[];
  /** In-segment positions of the keys per segment: those of the queries, or others. All rows when absent. */
  readonly keys?: "selected" | readonly (readonly number[])[];
  readonly causal?: boolean;
  /** D of the relative bias, of normal values, or such that every third distance is masked. */
  readonly bias?: number;
  readonly masking?: boolean;
  /** Standard deviation of q, k and v. */
  readonly deviation?: number;
  /** Two of three values are below the smallest normal number. */
  readonly denormal?: boolean;
  /** Equal rows everywhere: every visible key weighs the same. */
  readonly equal?: boolean;
  /** q, k and v in one matrix, as a fused projection gives them. */
  readonly packed?: boolean;
  readonly bench?: boolean;
}

const ragged = [1, 5, 0, 17, 16, 15, 4, 3];

/** The last rows, a scattered choice, one row, none: in ascending order. */
function select(lengths: readonly number[], reduction: number): readonly (readonly number[])[] {
  return lengths.map((length, s) => {
    const step = s % 3 === 1 ? 1 : reduction;
    const count = s % 4 === 3 ? 0 : Math.ceil(length / reduction);
    return Array.from({ length: count }, (_, i) =>
      step === 1 ? length - count + i : Math.min(i * step + (s % 2), length - 1),
    );
  });
}

const routedLengths = [13, 37, 0, 8, 1, 19, 65];
const routed = select(routedLengths, 3);
// Of other rows than the queries, of another number.
const keyed = select(routedLengths, 2);
// A few rows before the first one, at position 0 as well, and then all: rows put in front of a sequence.
const fronted = routedLengths.map((length, s) => [
  ...Array.from({ length: s }, () => 0),
  ...Array.from({ length }, (_, at) => at),
]);

/** All that varies. */
export const attentionSettings: readonly AttentionSetting[] = [
  { name: "1 token", heads: 1, headWidth: 4, lengths: [1] },
  { name: "ragged", heads: 3, headWidth: 16, lengths: ragged },
  { name: "ragged, causal", heads: 3, headWidth: 16, lengths: ragged, causal: true },
  { name: "ragged, packed", heads: 2, headWidth: 12, lengths: ragged, packed: true, causal: true },
  { name: "no rows", heads: 3, headWidth: 16, lengths: [0, 0] },
  { name: "no segments", heads: 3, headWidth: 16, lengths: [] },
  { name: "one over two tiles", heads: 2, headWidth: 64, lengths: [33, 31, 17] },
  { name: "head width 20", heads: 5, headWidth: 20, lengths: [7, 23] },
  { name: "head width 256", heads: 1, headWidth: 256, lengths: [19, 6] },
  { name: "bias within 1", heads: 1, headWidth: 8, lengths: ragged, bias: 1 },
  { name: "bias within 5, causal", heads: 3, headWidth: 8, lengths: ragged, bias: 5, causal: true },
  { name: "bias within 40", heads: 2, headWidth: 12, lengths: ragged, bias: 40, packed: true },
  { name: "bias of -∞", heads: 2, headWidth: 8, lengths: ragged, bias: 12, masking: true },
  {
    name: "rows in front, causal",
    heads: 3,
    headWidth: 8,
    lengths: routedLengths,
    keys: fronted,
    causal: true,
  },
  { name: "k-to-all", heads: 3, headWidth: 16, lengths: routedLengths, selected: routed },
  {
    name: "k-to-all, causal, bias",
    heads: 2,
    headWidth: 16,
    lengths: routedLengths,
    selected: routed,
    causal: true,
    bias: 7,
  },
  { name: "k-to-all, bias", heads: 3, headWidth: 16, lengths: routedLengths, selected: routed, bias: 20 },
  { name: "k-to-k", heads: 3, headWidth: 16, lengths: routedLengths, selected: routed, keys: "selected" },
  {
    name: "k-to-k, bias",
    heads: 1,
    headWidth: 16,
    lengths: routedLengths,
    selected: routed,
    keys: "selected",
    bias: 9,
  },
  {
    name: "k-to-k, causal, bias, packed",
    heads: 2,
    headWidth: 16,
    lengths: routedLengths,
    selected: routed,
    keys: "selected",
    causal: true,
    bias: 7,
    packed: true,
  },
  {
    name: "keys of their own",
    heads: 2,
    headWidth: 16,
    lengths: routedLengths,
    selected: routed,
    keys: keyed,
    bias: 3,
  },
  {
    name: "keys of their own, causal",
    heads: 2,
    headWidth: 16,
    lengths: routedLengths,
    selected: routed,
    keys: keyed,
    causal: true,
  },
  {
    name: "k-to-all, rows in front, causal",
    heads: 2,
    headWidth: 8,
    lengths: routedLengths,
    selected: routed,
    keys: fronted,
    causal: true,
  },
  { name: "large logits", heads: 3, headWidth: 16, lengths: [40, 3], deviation: 10 },
  { name: "equal rows", heads: 3, headWidth: 16, lengths: [40, 3], equal: true, causal: true },
  { name: "denormals", heads: 3, headWidth: 16, lengths: [40, 3], denormal: true },
  { name: "BERT-base, n = 128", heads: 12, headWidth: 64, lengths: [128], packed: true, bench: true },
  { name: "BERT-base, n = 512", heads: 12, headWidth: 64, lengths: [512], packed: true, bench: true },
  {
    name: "BERT-base, 8 of 64",
    heads: 12,
    headWidth: 64,
    lengths: Array.from({ length: 8 }, () => 64),
    packed: true,
    bench: true,
  },
];

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Queries and keys: packed as [q | 4 unused columns | v | k], or two matrices. */
function rowInputs(setting: AttentionSetting, queries: number, keys: number): Record<string, CaseTensor> {
  const { heads, headWidth, deviation = 1, equal = false, denormal = false } = setting;
  const width = heads * headWidth;
  const values = (seed: number, rows: number, columns: number): Float32Array => {
    const made = normal(seed, rows * columns, deviation);
    if (denormal) return made.map((value, i) => (i % 3 === 0 ? value : value * 1e-40));
    return equal ? made.map((_, i) => made[i % columns] as number) : made;
  };
  // A selection has fewer queries than keys, and then they cannot be one matrix.
  if (setting.packed === true && queries === keys) {
    const data = values(queries + 7, queries, 3 * width + 4);
    const both: CaseTensor = matrix(data, 3 * width + 4, "queries");
    return { q: both, kv: both };
  }
  const keyRows = setting.keys === "selected" ? "queries" : "keys";
  return {
    q: matrix(values(queries + 1, queries, width), width, "queries"),
    kv: matrix(values(keys + 2, keys, 2 * width + 4), 2 * width + 4, keyRows),
  };
}

/** With `masking`, every third distance of a head is -∞, but never 0, so that no row is left without any key. */
function biasInput({ heads, masking = false }: AttentionSetting, reach: number): CaseTensor {
  const data = normal(reach, (2 * reach + 1) * heads, 2);
  const hidden = (i: number): boolean => masking && i % 3 === 0 && Math.floor(i / heads) !== reach;
  return { shape: [2 * reach + 1, heads], data: data.map((value, i) => (hidden(i) ? -Infinity : value)) };
}

function keysOf({ keys, selected }: AttentionSetting): readonly (readonly number[])[] | undefined {
  return keys === "selected" ? selected : keys;
}

/** Rows of every segment: queries and keys. */
function lengthsOf(setting: AttentionSetting): { queryLengths: readonly number[]; keyLengths: readonly number[] } {
  const count = (rows: readonly (readonly number[])[] | undefined): readonly number[] =>
    rows?.map(({ length }) => length) ?? setting.lengths;
  return { queryLengths: count(setting.selected), keyLengths: count(keysOf(setting)) };
}

/** The inputs of both ops. */
export function attentionInputs(setting: AttentionSetting): Record<string, CaseTensor> {
  const { selected, keys, bias } = setting;
  const { queryLengths, keyLengths } = lengthsOf(setting);
  const inputs: Record<string, CaseTensor> = {
    ...rowInputs(setting, sum(queryLengths), sum(keyLengths)),
    q_segments: segmentTable(queryLengths),
    kv_segments: segmentTable(keyLengths),
  };
  const positions = (rows: readonly (readonly number[])[], axis: string): CaseTensor => {
    const data = Uint32Array.from(rows.flat());
    return { shape: [data.length], data, rows: axis };
  };
  if (selected !== undefined) inputs.positions = positions(selected, "queries");
  const keyRows = keysOf(setting);
  if (keyRows !== undefined) inputs.kv_positions = positions(keyRows, keys === "selected" ? "queries" : "keys");
  if (bias !== undefined) inputs.bias = biasInput(setting, bias);
  return inputs;
}

/** Whether q, k and v are one matrix. */
export function attentionPacked({ packed = false, selected, keys }: AttentionSetting): boolean {
  return packed && (selected === undefined || keys === "selected");
}

/** The attributes of both ops. */
export function attentionAttributes(setting: AttentionSetting): Record<string, number | boolean> {
  const { heads, headWidth, causal = false } = setting;
  const width = heads * headWidth;
  const columns = attentionPacked(setting)
    ? { qAt: 0, vAt: width + 4, kAt: 2 * width + 4 }
    : { qAt: 0, kAt: 4, vAt: 4 + width };
  return { heads, headWidth, scale: 1 / Math.sqrt(headWidth), causal, ...columns };
}

/** Probabilities that a case has: Σ heads · queries · keys. */
function probabilityCount(setting: AttentionSetting): number {
  const { queryLengths, keyLengths } = lengthsOf(setting);
  return sum(queryLengths.map((queries, s) => setting.heads * queries * (keyLengths[s] as number)));
}

/**
 * A logit of magnitude z carries z roundings of its own into the exponential, and all keys of a row share the error of the
 * sum over the head; the weighted sum runs over the keys.
 */
export function attentionTolerance({ headWidth, lengths, deviation = 1 }: AttentionSetting): number {
  const logit = Math.max(1, deviation * deviation);
  return logit * (toleranceFor(headWidth) + toleranceFor(Math.max(1, ...lengths)));
}

function caseOf(setting: AttentionSetting, probabilities: boolean): OpCase {
  const count = probabilities ? { count: "probabilities" } : {};
  return {
    name: setting.name,
    attributes: { ...attentionAttributes(setting), ...count },
    inputs: () => attentionInputs(setting),
    ...(probabilities ? { sizes: { probabilities: probabilityCount(setting) } } : {}),
    tolerance: attentionTolerance(setting),
    ...(setting.bench === true ? { bench: true } : {}),
  };
}

/** Ragged, selected, causal, biased, keys of their own, and logits that are hard. */
export const attentionCases: CaseTable = {
  stem: "attention",
  cases: attentionSettings.map((setting) => caseOf(setting, false)),
};

/** The same calls with the probabilities as the result. */
export const attentionProbabilitiesCases: CaseTable = {
  stem: "attention-probabilities",
  cases: attentionSettings.filter(({ bench }) => bench !== true).map((setting) => caseOf(setting, true)),
};
