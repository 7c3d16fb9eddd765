/** @file Cases of `sum-by-index`. */

import { orderOf } from "../graph/order.ts";
import { matrix } from "./case-tensors.ts";
import { generator, normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

const NOWHERE = 0xffffffff;

/** How indices are spread over the targets. */
type Spread = "random" | "all one" | "none" | "descending" | "stray";

interface Call {
  readonly rows: number;
  readonly targets: number;
  readonly width: number;
  readonly spread?: Spread;
  readonly like?: "f16" | "matrix";
  /** The targets that are asked for: a slot of several. */
  readonly range?: { readonly firstRow: number; readonly rowCount: number };
}

const CALLS: readonly Call[] = [
  { rows: 1, targets: 1, width: 1 },
  { rows: 0, targets: 5, width: 4 },
  { rows: 7, targets: 0, width: 4 },
  { rows: 5, targets: 3, width: 3 },
  { rows: 17, targets: 65, width: 1 },
  { rows: 65, targets: 17, width: 4 },
  { rows: 100, targets: 7, width: 13 },
  { rows: 64, targets: 9, width: 768 },
  { rows: 33, targets: 5, width: 257 },
  { rows: 300, targets: 2, width: 8, spread: "all one" },
  { rows: 30, targets: 4, width: 8, spread: "none" },
  { rows: 31, targets: 31, width: 5, spread: "descending" },
  { rows: 60, targets: 11, width: 12, spread: "stray" },
  { rows: 60, targets: 11, width: 1, spread: "stray", like: "f16" },
  { rows: 20, targets: 6, width: 4, like: "matrix" },
  { rows: 60, targets: 12, width: 5, like: "matrix", spread: "stray", range: { firstRow: 4, rowCount: 4 } },
  { rows: 60, targets: 12, width: 8, like: "matrix", range: { firstRow: 11, rowCount: 1 } },
];

function indexOf(spread: Spread, row: number, targets: number, random: () => number): number {
  const any = Math.floor(random() * targets);
  switch (spread) {
    case "random":
      return any;
    case "all one":
      return targets - 1;
    case "none":
      return NOWHERE;
    case "descending":
      return targets - 1 - (row % Math.max(targets, 1));
    case "stray":
      return row % 5 === 1 ? NOWHERE : row % 5 === 3 ? targets : any;
  }
}

function inputsOf({ rows, targets, width, spread = "random", like }: Call): Record<string, CaseTensor> {
  const random = generator(rows * 31 + targets);
  const table = Uint32Array.from({ length: rows }, (_, row) => indexOf(spread, row, targets, random));
  const shape = like === undefined ? [targets] : [targets, 4];
  return {
    x: matrix(normal(rows + width, rows * width), width),
    rows: { shape: [rows], data: table, rows: "rows" },
    order: { shape: [rows], data: orderOf(table), rows: "rows" },
    like: {
      shape,
      data: normal(
        5,
        shape.reduce((product, dim) => product * dim, 1),
      ),
      ...(like === "f16" ? { f16: true } : {}),
      ...(like === undefined ? { rows: "targets" } : {}),
    },
  };
}

function caseOf(call: Call): OpCase {
  const { rows, targets, width, spread = "random", like, range } = call;
  const asked = range === undefined ? "" : `, ${range.rowCount} from ${range.firstRow}`;
  return {
    name: `${rows} onto ${targets} x ${width}, ${spread}${like === undefined ? "" : `, like ${like}`}${asked}`,
    attributes: { ...range },
    inputs: () => inputsOf(call),
    // Relative to Σ|x|: up to √R times larger than a sum of random signs.
    tolerance: toleranceFor(rows) * Math.sqrt(Math.max(rows, 1)),
  };
}

/** Shapes, spreads of the indices, and what the targets are read from. */
export const sumByIndexCases: CaseTable = {
  stem: "sum-by-index",
  cases: [...CALLS.map(caseOf), { ...caseOf({ rows: 512, targets: 30_522, width: 768 }), bench: true }],
};
