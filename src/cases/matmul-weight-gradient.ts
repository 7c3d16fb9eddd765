/** @file Cases of `matmul-weight-gradient`: ragged shapes, columns of dy, gathered rows, hard rows, and the sizes that benches time. */

import { distinctRows, hardRows, matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

// Sizes of tiles are 8, 16, 32 and 64, steps of rows 1, 8 and 16, parts at least 128: shapes lie on, beside and between them.
const SHAPES: readonly (readonly [rows: number, height: number, width: number])[] = [
  [1, 1, 1],
  [0, 8, 16],
  [1, 64, 32],
  [3, 5, 7],
  [7, 2, 48],
  [13, 66, 18],
  [8, 64, 32],
  [9, 24, 4],
  [17, 63, 12],
  [65, 72, 40],
  [100, 33, 36],
  [131, 8, 96],
  [255, 16, 8],
  [257, 9, 20],
  [513, 3, 5],
];

const ragged = { rows: 70, height: 40, width: 24 };

interface Options {
  readonly rows: number;
  readonly height: number;
  readonly width: number;
  /** Columns of dy before and behind those that take part. */
  readonly before?: number;
  readonly behind?: number;
  /** dy has a row for each of so many rows of x. */
  readonly gather?: number;
  readonly dy?: Float32Array;
}

function inputsOf({ rows, height, width, before = 0, behind = 0, gather, dy }: Options): Record<string, CaseTensor> {
  const stride = before + height + behind;
  const [count, symbol] = gather === undefined ? [rows, "rows"] : [gather, "selected"];
  // What does not take part would spoil every sum.
  const column = (i: number): number => (i % stride) - before;
  const data = (dy ?? normal(3, count * stride)).map((value, i) =>
    column(i) >= 0 && column(i) < height ? value : NaN,
  );
  return {
    dy: matrix(data, stride, symbol),
    x: matrix(normal(rows + 2, rows * width), width, "rows"),
    ...(gather !== undefined && { gather: distinctRows(11, gather, rows, "selected") }),
  };
}

function gradient(name: string, options: Options): OpCase {
  const { rows, height, before, gather = rows, dy } = options;
  // A sum of random signs keeps its error below the bound of its length; hard rows cancel, up to √R times more.
  const cancellation = dy === undefined ? 1 : Math.sqrt(gather);
  return {
    name,
    attributes: before === undefined ? {} : { firstColumn: before, columnCount: height },
    inputs: () => inputsOf(options),
    tolerance: toleranceFor(gather) * cancellation,
  };
}

/** An index past x leaves its row of dy out, whatever the row holds. */
function strayIndices(name: string, options: Options & { readonly gather: number }): OpCase {
  const stray = gradient(name, options);
  const inputs = (): Record<string, CaseTensor> => {
    const made = stray.inputs() as { dy: CaseTensor; x: CaseTensor; gather: CaseTensor };
    const lost = (r: number): boolean => r % 3 === 1 || r === options.gather - 1;
    return {
      ...made,
      dy: {
        ...made.dy,
        data: (made.dy.data as Float32Array).map((v, i) => (lost(Math.floor(i / options.height)) ? NaN : v)),
      },
      gather: { ...made.gather, data: Uint32Array.from(made.gather.data, (v, r) => (lost(r) ? 0xffffffff - r : v)) },
    };
  };
  return { ...stray, inputs };
}

const timed = (rows: number, height: number, width: number, more: Partial<Options> = {}, name = ""): OpCase => ({
  ...gradient(`${height}x${width} over ${rows}${name}`, { rows, height, width, ...more }),
  bench: true,
});

/** Shapes, columns of dy, selections, hard rows. */
export const matmulWeightGradientCases: CaseTable = {
  stem: "matmul-weight-gradient",
  cases: [
    ...SHAPES.map(([rows, height, width]) => gradient(`${height}x${width} over ${rows}`, { rows, height, width })),
    gradient("columns of dy", { ...ragged, before: 8, behind: 16 }),
    gradient("odd columns of dy", { ...ragged, height: 39, before: 5, behind: 3 }),
    gradient("odd columns of dy, odd width", { rows: 9, height: 3, width: 7, before: 2, behind: 1 }),
    gradient("gather", { ...ragged, gather: 37 }),
    gradient("gather, columns of dy", { ...ragged, gather: 66, before: 16, behind: 8 }),
    gradient("gather, odd widths", { rows: 20, height: 5, width: 9, gather: 13 }),
    gradient("gather, in parts", { rows: 300, height: 16, width: 8, gather: 261 }),
    strayIndices("stray indices", { ...ragged, gather: 50 }),
    strayIndices("stray indices, odd widths", { rows: 20, height: 5, width: 9, gather: 13 }),
    strayIndices("stray indices, in parts", { rows: 300, height: 16, width: 8, gather: 300 }),
    ...(["dominant", "alternating", "denormal"] as const).map((kind) =>
      gradient(kind, { rows: 40, height: 24, width: 16, dy: hardRows(kind, 40, 24) }),
    ),
    timed(512, 768, 768),
    timed(512, 3072, 768),
    timed(512, 768, 3072),
    timed(512, 768, 768, { gather: 171 }, " gather 171"),
    timed(512, 768, 768, { before: 768, behind: 768 }, " of 2304 columns"),
    timed(512, 48, 768),
    timed(512, 768, 48),
    timed(512, 64, 768),
    timed(4096, 48, 768),
    timed(512, 2, 768),
  ],
};
