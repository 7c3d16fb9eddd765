/** @file The cases that both norms run: shapes, options of both forms, hard values, and one that is timed. */

import type { Attributes } from "../ops/op.ts";
import { distinctRows, hardRows, matrix, vector } from "./case-tensors.ts";
import type { HardRows } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTensor, OpCase } from "./case.ts";

interface NormCase {
  readonly name: string;
  readonly rows: number;
  readonly width: number;
  readonly options?: readonly (
    | "residual"
    | "gather x"
    | "gather residual"
    | "router"
    | "weight"
    | "origin"
    | "scatter"
    | "stray"
  )[];
  readonly values?: HardRows;
  readonly bench?: boolean;
}

// Gathered and scattered rows come from or go to matrices with this many rows more.
const SPARE_ROWS = 5;

const SHAPES: readonly (readonly [rows: number, width: number])[] = [
  [1, 1],
  [3, 3],
  [17, 4],
  [65, 48],
  [3, 64],
  [17, 768],
  [5, 1000],
  [2, 1001],
  [0, 48],
  [1, 768],
  [16, 12],
];

const FORMS: readonly NormCase[] = [
  { name: "residual", rows: 17, width: 48, options: ["residual"] },
  { name: "residual, router", rows: 17, width: 50, options: ["residual", "router"] },
  { name: "router", rows: 33, width: 192, options: ["router"] },
  { name: "gather of x", rows: 17, width: 48, options: ["gather x", "residual", "router"] },
  { name: "gather of x alone", rows: 9, width: 7, options: ["gather x"] },
  { name: "gather of residual", rows: 17, width: 48, options: ["gather residual", "residual"] },
  { name: "gather of x, stray indices", rows: 18, width: 48, options: ["gather x", "residual", "router", "stray"] },
  { name: "gather of x alone, stray indices", rows: 9, width: 7, options: ["gather x", "stray"] },
  { name: "gather of residual, stray indices", rows: 17, width: 48, options: ["gather residual", "residual", "stray"] },
  { name: "gather of no rows", rows: 0, width: 48, options: ["gather x"] },
  { name: "scatter", rows: 17, width: 48, options: ["scatter"] },
  { name: "scatter, weight, origin", rows: 18, width: 48, options: ["scatter", "residual", "weight", "origin"] },
  { name: "scatter, odd width", rows: 7, width: 13, options: ["scatter", "residual", "weight", "origin"] },
  { name: "scatter, weight", rows: 33, width: 64, options: ["scatter", "weight"] },
  { name: "scatter, stray indices", rows: 33, width: 64, options: ["scatter", "stray"] },
  {
    name: "scatter, weight, origin, stray indices",
    rows: 18,
    width: 13,
    options: ["scatter", "residual", "weight", "origin", "stray"],
  },
  { name: "scatter of no rows", rows: 0, width: 8, options: ["scatter", "weight", "origin"] },
];

const HARD: readonly HardRows[] = ["offset", "equal", "dominant", "denormal", "alternating"];

/** The cases of a norm. `vectors` are the row vectors it takes, `attributes` are merged into every case's. */
export function normCases(vectors: readonly ("gamma" | "beta")[], attributes: Attributes): readonly OpCase[] {
  const table: readonly NormCase[] = [
    ...SHAPES.map(([rows, width]) => ({ name: `${rows}x${width}`, rows, width })),
    ...FORMS.map((form) => ({ ...form, name: `${form.name} ${form.rows}x${form.width}` })),
    ...HARD.map((values) => ({ name: `${values} values`, rows: 5, width: 768, values })),
    { name: "512x768", rows: 512, width: 768, bench: true },
    {
      name: "scatter 170x768",
      rows: 170,
      width: 768,
      options: ["scatter", "residual", "weight", "origin"],
      bench: true,
    },
  ];
  return table.map((entry) => ({
    name: entry.name,
    attributes: {
      ...attributes,
      ...(entry.options?.includes("gather residual") === true ? { gatherOf: "residual" } : {}),
    },
    inputs: () => inputsOf(entry, vectors),
    // Rows without spread divide by sqrt(eps): then only the scale of beta and the options is left to compare with.
    tolerance: toleranceFor(entry.width),
    ...(entry.bench === true ? { bench: true } : {}),
  }));
}

function inputsOf(
  { rows, width, options = [], values }: NormCase,
  vectors: readonly string[],
): Record<string, CaseTensor> {
  const has = (option: (typeof options)[number]): boolean => options.includes(option);
  const spread = (seed: number, count: number, symbol: string): CaseTensor =>
    matrix(normal(seed, count * width, 2, 0.5), width, symbol);
  const all = rows + SPARE_ROWS;
  const inputs: Record<string, CaseTensor> = {
    x: has("gather x") ? spread(1, all, "all") : spread(1, rows, "rows"),
  };
  if (values !== undefined) inputs.x = matrix(hardRows(values, rows, width), width);
  for (const [i, name] of vectors.entries()) inputs[name] = vector(normal(2 + i, width, 0.3, name === "gamma" ? 1 : 0));
  if (has("residual")) inputs.residual = has("gather residual") ? spread(4, all, "all") : spread(4, rows, "rows");
  const indices = (seed: number): CaseTensor => {
    const chosen = distinctRows(seed, rows, all, "rows");
    return has("stray") ? withStrays(chosen, all) : chosen;
  };
  if (has("gather x") || has("gather residual")) inputs.gather = indices(5);
  if (has("router")) inputs.router = vector(normal(6, width, 0.2));
  if (!has("scatter")) return inputs;
  inputs.scatter = indices(7);
  inputs.base = spread(8, all, "all");
  if (has("weight")) inputs.weight = { shape: [all], data: normal(9, all, 0.3, 0.8), rows: "all" };
  if (has("origin")) inputs.origin = spread(10, all, "all");
  return inputs;
}

/** Every third index points nowhere: past the end of a batch's selection, or just past the last row. */
function withStrays(indices: CaseTensor, all: number): CaseTensor {
  const data = Uint32Array.from(indices.data, (index, i) => (i % 6 === 1 ? 0xffffffff : i % 6 === 4 ? all : index));
  return { ...indices, data };
}
