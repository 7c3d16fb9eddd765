/** @file Cases of `matmul`: ragged shapes, every optional input, f16 weights, hard rows, and the sizes that benches time. */

import { distinctRows, hardRows, matrix, vector } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

// Sizes of tiles are 4, 8, 32 and 64: shapes lie on, beside and between them. K is 0 and not 0 modulo 2, 4 and 8.
const SHAPES: readonly (readonly [rows: number, columns: number, inner: number])[] = [
  [1, 1, 1],
  [1, 37, 64],
  [3, 5, 7],
  [4, 8, 4],
  [5, 33, 12],
  [7, 3, 48],
  [0, 8, 16],
  [13, 66, 18],
  [63, 31, 8],
  [65, 33, 40],
  [129, 97, 72],
];

// The activations of the library are good to 1e-6, absolute, and the scale of these cases is at least 1.
const ACTIVATION_ERROR = 1e-6;

// How far a sum may be off when `compute` is "f16", as a multiple of the root mean square sum: what kernels/matmul.f16.wgsl
// derives for random signs, with the factor of `toleranceFor`. Sums of one sign stay below (F16_CHUNK + 3) u, which is less.
const F16_CHUNK = 8;
const F16_ERROR = 8 * 2 ** -11 * Math.sqrt((F16_CHUNK + 1) / 6 + 2 / 3);

const ragged = { rows: 70, columns: 34, inner: 24 };
/** Symbol of the slot that takes part. */
const SLOT = "task";

interface Options {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  /** Rows of w before and behind those that take part. */
  readonly before?: number;
  readonly behind?: number;
  /** w and bias are stacks of so many slots, of which `slot` takes part; the others hold NaN. */
  readonly slots?: number;
  readonly slot?: number;
  readonly bias?: boolean;
  readonly residual?: boolean;
  readonly f16?: boolean;
  /** Reads this many of the rows. */
  readonly gather?: number;
  /** Writes to this many rows of y. */
  readonly targets?: number;
  readonly weight?: boolean;
  readonly activation?: string;
  readonly compute?: "f16";
  /** x·W: the rows of w that take part are as many as x has columns. */
  readonly transposed?: boolean;
  readonly x?: Float32Array;
}

/** The inputs of one call: weights of deviation 1/√K, so that results are of the order of x. */
function inputsOf(options: Options): Record<string, CaseTensor> {
  const { rows, columns, inner, before = 0, behind = 0, slots = 1, slot = 0, gather, targets, transposed } = options;
  const [taking, across] = transposed === true ? [inner, columns] : [columns, inner];
  const slotRows = before + taking + behind;
  const all = slots * slotRows;
  const stack = (seed: number, width: number, deviation: number): Float32Array => {
    const [start, end] = [slot * slotRows * width, (slot + 1) * slotRows * width];
    return normal(seed, all * width, deviation).map((value, i) => (i < start || i >= end ? NaN : value));
  };
  const symbol = gather === undefined ? "rows" : "selected";
  const results = gather ?? rows;
  const w = { shape: [all, across], data: stack(3, across, 1 / Math.sqrt(inner)), f16: options.f16 === true };
  const x = options.x ?? normal(rows + 2, rows * inner);
  return {
    x: { shape: [rows, inner], data: x, rows: "rows" },
    w,
    ...(options.bias === true && { bias: vector(transposed === true ? normal(5, columns) : stack(5, 1, 1)) }),
    ...(options.residual === true && {
      residual: { shape: [results, columns], data: normal(7, results * columns), rows: symbol },
    }),
    ...(gather !== undefined && { gather: distinctRows(11, gather, rows, symbol) }),
    ...(targets !== undefined && {
      scatter: distinctRows(13, results, targets, symbol),
      base: matrix(normal(17, targets * columns), columns, "targets"),
    }),
    ...(options.weight === true && {
      weight: { shape: [targets ?? 0], data: normal(19, targets ?? 0), rows: "targets" },
    }),
  };
}

function product(name: string, options: Options): OpCase {
  const { columns, inner, before, behind = 0, slots, slot, activation, compute, transposed } = options;
  const taking = transposed === true ? inner : columns;
  const slice = before === undefined ? {} : { firstRow: before, rowCount: taking };
  const stacked = slots === undefined ? {} : { slot: SLOT, slotRows: (before ?? 0) + taking + behind };
  // A sum of random signs keeps its error below the bound of its length; hard rows cancel, up to √K times more.
  const cancellation = options.x === undefined ? 1 : Math.sqrt(inner);
  return {
    name,
    attributes: {
      ...slice,
      ...stacked,
      ...(activation !== undefined && { activation }),
      ...(compute !== undefined && { compute }),
      ...(transposed === true && { transposed }),
    },
    inputs: () => inputsOf(options),
    ...(slot !== undefined && { sizes: { [SLOT]: slot } }),
    tolerance:
      toleranceFor(inner) * cancellation +
      (compute === undefined ? 0 : F16_ERROR) +
      (activation === undefined ? 0 : ACTIVATION_ERROR),
  };
}

/** All that may surround a product but an activation. */
const everything = { gather: 41, targets: 70, bias: true, residual: true, weight: true } as const;

/** Stacks of matrices, the slot of which is a run-time size: first, middle and last slots, all variants, slices of a slot. */
const slotCases: readonly OpCase[] = [
  product("slot 0 of 3", { ...ragged, slots: 3, slot: 0, bias: true }),
  product("slot 1 of 3, bias, gelu, residual", {
    ...ragged,
    slots: 3,
    slot: 1,
    bias: true,
    activation: "gelu",
    residual: true,
  }),
  product("slot 2 of 3, f16, without bias", { ...ragged, slots: 3, slot: 2, f16: true }),
  product("slot 0 of 1", { rows: 5, columns: 9, inner: 8, slots: 1, slot: 0, bias: true }),
  product("rows of slot 2 of 4", { ...ragged, slots: 4, slot: 2, before: 5, behind: 3, bias: true }),
  product("slot 3 of 4, odd widths", { rows: 5, columns: 3, inner: 7, slots: 4, slot: 3, bias: true }),
  product("slot 3 of 4, odd widths, f16", { rows: 5, columns: 3, inner: 7, slots: 4, slot: 3, bias: true, f16: true }),
  product("slot 1 of 2, one row", { rows: 1, columns: 40, inner: 64, slots: 2, slot: 1, bias: true }),
  product("slot 4 of 5, gather, scatter, weight", {
    ...ragged,
    slots: 5,
    slot: 4,
    gather: 41,
    targets: 70,
    bias: true,
    weight: true,
  }),
  product("slot 1 of 3, no rows", { rows: 0, columns: 8, inner: 16, slots: 3, slot: 1 }),
  product("slot 1 of 3, in f16", { ...ragged, slots: 3, slot: 1, bias: true, compute: "f16" }),
];

/** Results of whole vectors, which `subgroup` writes eight columns at a time unless a bias begins between two vectors. */
function wideCases(): OpCase[] {
  const wide = { rows: 70, columns: 72, inner: 64 } as const;
  return [
    product("wide", wide),
    product("wide, f16, bias, relu", { ...wide, f16: true, bias: true, activation: "relu" }),
    product("wide, bias, gelu, residual", { ...wide, bias: true, activation: "gelu", residual: true }),
    product("wide, rows of w", { ...wide, before: 4, behind: 3, bias: true }),
    product("wide, rows of w, a bias between vectors", { ...wide, before: 5, behind: 3, bias: true }),
    product("wide, rows of w from an odd one", { ...wide, before: 5, behind: 3, residual: true }),
    product("wide, slot 1 of 3", { ...wide, slots: 3, slot: 1, bias: true }),
    product("wide, rows of slot 2 of 4", { ...wide, slots: 4, slot: 2, before: 4, behind: 4, bias: true }),
    product("wide, rows of slot 2 of 4, a bias between vectors", {
      ...wide,
      slots: 4,
      slot: 2,
      before: 4,
      behind: 3,
      bias: true,
    }),
    product("wide, gather, residual", { ...wide, gather: 66, bias: true, residual: true }),
    product("wide, scatter", { ...wide, targets: 90, bias: true }),
    product("wide, gather, residual, scatter, weight", { ...wide, ...everything }),
    strayIndices({ columns: 16, rows: 18 }, "wide, stray indices"),
  ];
}

/** A gathered index past x is a row of zeros, a scattered one past base is skipped. */
function strayIndices(more: Partial<Options> = {}, name = "stray indices"): OpCase {
  const stray = product(name, { rows: 9, columns: 12, inner: 16, gather: 6, targets: 11, bias: true, ...more });
  const inputs = (): Record<string, CaseTensor> => {
    const made = stray.inputs();
    const withStray = (role: string, place: number): CaseTensor => {
      const tensor = made[role] as CaseTensor;
      return { ...tensor, data: Uint32Array.from(tensor.data, (value, i) => (i === place ? 0xffffffff : value)) };
    };
    return { ...made, gather: withStray("gather", 2), scatter: withStray("scatter", 4) };
  };
  return { ...stray, inputs };
}

const timed = (rows: number, columns: number, inner: number, more: Partial<Options> = {}, name = ""): OpCase => ({
  ...product(`${rows}x${inner}x${columns}${name}`, { rows, columns, inner, bias: true, ...more }),
  bench: true,
});

// Multiplied in half precision. The rows "tiny" and "huge" lie outside the range of f16; the long sums would stand still
// in f16, chunk by chunk; the dominant values of 17 rows lie with every invocation that reads a row.
const half = { ...ragged, compute: "f16" } as const;
const LONG = 2 ** 15;

function halfCases(): OpCase[] {
  const shapes = SHAPES.filter(([rows, , inner]) => rows !== 1 && inner % 4 === 0);
  const x = (scale: number): Float32Array => normal(23, half.rows * half.inner, scale);
  return [
    ...shapes.map(([rows, columns, inner]) =>
      product(`${rows}x${inner}x${columns}, in f16`, { rows, columns, inner, compute: "f16" }),
    ),
    product("in f16, one row", { rows: 1, columns: 70, inner: 64, compute: "f16" }),
    product("in f16, f16 weights", { ...half, f16: true }),
    product("in f16, bias, gelu, residual", { ...half, bias: true, activation: "gelu", residual: true }),
    product("in f16, rows of w", { ...half, before: 5, behind: 3, bias: true }),
    product("in f16, gather, scatter, weight", { ...half, gather: 41, targets: 70, bias: true, weight: true }),
    product("in f16, huge", { ...half, x: x(1e30) }),
    product("in f16, tiny", { ...half, x: x(1e-30) }),
    ...(["dominant", "alternating", "denormal"] as const).map((kind) =>
      product(`in f16, ${kind}`, { rows: 17, columns: 10, inner: 48, x: hardRows(kind, 17, 48), compute: "f16" }),
    ),
    longSums(),
  ];
}

function longSums(): OpCase {
  const shape = { rows: 3, columns: 5, inner: LONG, compute: "f16" } as const;
  const long = product("in f16, long sums of one sign", shape);
  const inputs = (): Record<string, CaseTensor> => {
    const { x, w } = long.inputs() as { x: CaseTensor; w: CaseTensor };
    return {
      x: { ...x, data: (x.data as Float32Array).map(Math.abs) },
      w: { ...w, data: (w.data as Float32Array).map(Math.abs) },
    };
  };
  return { ...long, inputs };
}

/** x·W: shapes, epilogues, selections and slots of that form. */
function transposedCases(): OpCase[] {
  const form = { transposed: true } as const;
  const wide = { rows: 70, columns: 40, inner: 24, ...form };
  const narrow = { rows: 6, columns: 5, inner: 9, ...form };
  return [
    ...SHAPES.map(([rows, columns, inner]) =>
      product(`transposed ${rows}x${inner}x${columns}`, { rows, columns, inner, ...form }),
    ),
    // Widths that the table of the other form lacks: whole vectors across, sums of any length.
    ...[
      [129, 72, 56],
      [66, 36, 18],
      [5, 12, 7],
      [64, 32, 1],
    ].map(([rows = 0, columns = 0, inner = 0]) =>
      product(`transposed ${rows}x${inner}x${columns}`, { rows, columns, inner, ...form }),
    ),
    product("transposed, f16", { ...wide, f16: true, bias: true }),
    product("transposed, f16, odd widths", { ...narrow, f16: true }),
    product("transposed, bias, gelu, residual", { ...wide, bias: true, activation: "gelu", residual: true }),
    product("transposed, narrow, bias, relu", { ...narrow, bias: true, activation: "relu" }),
    product("transposed, rows of w", { ...wide, before: 5, behind: 3, bias: true }),
    product("transposed, gather, residual", { ...wide, gather: 66, residual: true }),
    product("transposed, scatter", { ...wide, targets: 90, bias: true }),
    product("transposed, gather, residual, scatter, weight", { ...wide, ...everything }),
    product("transposed, narrow, gather, scatter, weight", { ...narrow, gather: 4, targets: 7, weight: true }),
    product("transposed, slot 1 of 3", { ...wide, slots: 3, slot: 1, bias: true }),
    product("transposed, rows of slot 2 of 4, f16", { ...wide, slots: 4, slot: 2, before: 5, behind: 3, f16: true }),
    ...(["dominant", "alternating", "denormal"] as const).map((kind) =>
      product(`transposed, ${kind}`, { rows: 9, columns: 16, inner: 48, x: hardRows(kind, 9, 48), ...form }),
    ),
    strayIndices(form, "transposed, stray indices"),
    timed(512, 768, 768, { ...form, bias: false }, " transposed"),
    timed(512, 768, 3072, { ...form, bias: false }, " transposed"),
    timed(512, 3072, 768, { ...form, bias: false }, " transposed"),
    timed(512, 768, 48, { ...form, bias: false }, " transposed"),
    timed(512, 48, 768, { ...form, bias: false }, " transposed"),
    timed(103, 768, 3072, { ...form, bias: false, targets: 512, weight: true }, " transposed, scatter"),
  ];
}

/** Shapes, epilogues, selections, f16 weights, products in f16, hard rows. */
export const matmulCases: CaseTable = {
  stem: "matmul",
  cases: [
    ...SHAPES.map(([rows, columns, inner]) => product(`${rows}x${inner}x${columns}`, { rows, columns, inner })),
    ...SHAPES.filter(([, , inner]) => inner !== 1).map(([rows, columns, inner]) =>
      product(`${rows}x${inner}x${columns} f16`, { rows, columns, inner, f16: true }),
    ),
    product("bias", { ...ragged, bias: true }),
    product("bias, gelu, residual", { ...ragged, bias: true, activation: "gelu", residual: true }),
    product("narrow, bias, relu", { rows: 5, columns: 9, inner: 7, bias: true, activation: "relu" }),
    product("rows of w", { ...ragged, before: 5, behind: 3, bias: true }),
    product("gather", { ...ragged, gather: 37, bias: true }),
    product("gather, residual", { ...ragged, gather: 66, residual: true }),
    product("scatter", { ...ragged, targets: 90, bias: true }),
    product("gather, residual, scatter, weight", { ...ragged, ...everything }),
    product("narrow, gather, scatter, weight", { rows: 6, columns: 5, inner: 9, gather: 4, targets: 7, weight: true }),
    product("one row, gather, scatter, weight", {
      rows: 6,
      columns: 40,
      inner: 64,
      gather: 1,
      targets: 7,
      weight: true,
    }),
    product("f16, gather, scatter", { ...ragged, f16: true, gather: 41, targets: 70 }),
    ...slotCases,
    ...wideCases(),
    ...halfCases(),
    strayIndices(),
    ...transposedCases(),
    ...(["dominant", "alternating", "denormal"] as const).map((kind) =>
      product(kind, { rows: 9, columns: 10, inner: 48, x: hardRows(kind, 9, 48) }),
    ),
    timed(128, 768, 768),
    timed(128, 2304, 768),
    timed(128, 3072, 768, { activation: "gelu" }, " gelu"),
    timed(128, 768, 3072),
    timed(512, 3072, 768),
    timed(512, 768, 768, { gather: 171 }, " gather 171"),
    timed(103, 768, 3072, { targets: 512, weight: true }, " scatter"),
    timed(1, 768, 768),
  ],
};
