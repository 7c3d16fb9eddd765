/** @file Cases of attention and of its probabilities: the same inputs serve both ops. */

import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { segmentTable } from "./segment-tables.ts";

/** What varies between the cases. */
interface Setting {
  readonly name: string;
  readonly heads: number;
  readonly headWidth: number;
  /** Tokens per segment. */
  readonly lengths: readonly number[];
  /** Selected in-segment positions per segment: the query rows. All rows when absent. */
  readonly selected?: readonly (readonly number[])[];
  readonly keysSelected?: boolean;
  readonly causal?: boolean;
  readonly bias?: "normal" | "masking";
  readonly prefix?: number;
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

const settings: readonly Setting[] = [
  { name: "1 token", heads: 1, headWidth: 4, lengths: [1] },
  { name: "ragged", heads: 3, headWidth: 16, lengths: ragged },
  { name: "ragged, causal", heads: 3, headWidth: 16, lengths: ragged, causal: true },
  { name: "ragged, packed", heads: 2, headWidth: 12, lengths: ragged, packed: true, causal: true },
  { name: "no rows", heads: 3, headWidth: 16, lengths: [0, 0] },
  { name: "no segments", heads: 3, headWidth: 16, lengths: [] },
  { name: "one over two tiles", heads: 2, headWidth: 64, lengths: [33, 31, 17] },
  { name: "head width 20", heads: 5, headWidth: 20, lengths: [7, 23] },
  { name: "head width 256", heads: 1, headWidth: 256, lengths: [19, 6] },
  { name: "bias of -∞", heads: 2, headWidth: 8, lengths: ragged, bias: "masking" },
  { name: "prefix of 1", heads: 2, headWidth: 8, lengths: ragged, prefix: 1 },
  {
    name: "prefix of 30, causal, bias",
    heads: 3,
    headWidth: 8,
    lengths: ragged,
    prefix: 30,
    causal: true,
    bias: "normal",
  },
  { name: "k-to-all", heads: 3, headWidth: 16, lengths: routedLengths, selected: routed },
  {
    name: "k-to-all, causal, bias",
    heads: 2,
    headWidth: 16,
    lengths: routedLengths,
    selected: routed,
    causal: true,
    bias: "normal",
  },
  { name: "k-to-k", heads: 3, headWidth: 16, lengths: routedLengths, selected: routed, keysSelected: true },
  {
    name: "k-to-k, causal, bias, prefix, packed",
    heads: 2,
    headWidth: 16,
    lengths: routedLengths,
    selected: routed,
    keysSelected: true,
    causal: true,
    bias: "normal",
    prefix: 3,
    packed: true,
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
function rowInputs(setting: Setting, queries: number, keys: number): Record<string, CaseTensor> {
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
  const keyRows = setting.keysSelected === true ? "queries" : "keys";
  return {
    q: matrix(values(queries + 1, queries, width), width, "queries"),
    kv: matrix(values(keys + 2, keys, 2 * width + 4), 2 * width + 4, keyRows),
  };
}

function biasInput({ heads, lengths, bias }: Setting): CaseTensor {
  const size = Math.max(...lengths) + 1;
  const data = normal(size, heads * size * size, 2);
  // Masks every third key, never the first one, so that no row is left without any.
  const masked = bias === "masking" ? data.map((value, i) => (i % size > 0 && i % 3 === 0 ? -Infinity : value)) : data;
  return { shape: [heads, size, size], data: masked };
}

function inputsOf(setting: Setting): Record<string, CaseTensor> {
  const { lengths, selected, keysSelected = false } = setting;
  const queryLengths = selected?.map((rows) => rows.length) ?? lengths;
  const keyLengths = keysSelected ? queryLengths : lengths;
  const inputs: Record<string, CaseTensor> = {
    ...rowInputs(setting, sum(queryLengths), sum(keyLengths)),
    q_segments: segmentTable(queryLengths),
    kv_segments: segmentTable(keyLengths),
  };
  if (selected !== undefined) {
    const data = Uint32Array.from(selected.flat());
    inputs.positions = { shape: [data.length], data, rows: "queries" };
  }
  if (setting.bias !== undefined) inputs.bias = biasInput(setting);
  if (setting.prefix !== undefined) {
    const width = setting.heads * setting.headWidth;
    const shape = [2 * setting.prefix, width];
    inputs.prefix = { shape, data: normal(setting.prefix, 2 * setting.prefix * width) };
  }
  return inputs;
}

function attributesOf(setting: Setting): Record<string, number | boolean> {
  const { heads, headWidth, packed = false, selected, keysSelected = false, causal = false } = setting;
  const width = heads * headWidth;
  const fused = packed && (selected === undefined || keysSelected);
  const columns = fused ? { qAt: 0, vAt: width + 4, kAt: 2 * width + 4 } : { qAt: 0, kAt: 4, vAt: 4 + width };
  return { heads, headWidth, scale: 1 / Math.sqrt(headWidth), causal, keysSelected, ...columns };
}

/** Probabilities that a case has: Σ heads · queries · (prefix + keys). */
function probabilityCount({ heads, lengths, selected, keysSelected = false, prefix = 0 }: Setting): number {
  return sum(
    lengths.map((length, s) => {
      const queries = selected?.[s]?.length ?? length;
      return heads * queries * (prefix + (keysSelected ? queries : length));
    }),
  );
}

/**
 * A logit of magnitude z carries z roundings of its own into the exponential, and all keys of a row share the error of the
 * sum over the head; the weighted sum runs over the keys.
 */
function toleranceOf({ headWidth, lengths, deviation = 1 }: Setting): number {
  const logit = Math.max(1, deviation * deviation);
  return logit * (toleranceFor(headWidth) + toleranceFor(Math.max(1, ...lengths)));
}

function caseOf(setting: Setting, probabilities: boolean): OpCase {
  const count = probabilities ? { count: "probabilities" } : {};
  return {
    name: setting.name,
    attributes: { ...attributesOf(setting), ...count },
    inputs: () => inputsOf(setting),
    ...(probabilities ? { sizes: { probabilities: probabilityCount(setting) } } : {}),
    tolerance: toleranceOf(setting),
    ...(setting.bench === true ? { bench: true } : {}),
  };
}

/** Ragged, selected, causal, biased, prefixed, and logits that are hard. */
export const attentionCases: CaseTable = {
  stem: "attention",
  cases: settings.map((setting) => caseOf(setting, false)),
};

/** The same calls with the probabilities as the result. */
export const attentionProbabilitiesCases: CaseTable = {
  stem: "attention-probabilities",
  cases: settings.filter(({ bench }) => bench !== true).map((setting) => caseOf(setting, true)),
};
