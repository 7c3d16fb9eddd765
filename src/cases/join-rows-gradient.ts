/** @file Cases of `join-rows-gradient`: both sources, rows joined never, once and often, columns at every place. */

import { orderOf } from "../graph/order.ts";
import { fromB } from "../ops/join-rows.ts";
import { matrix } from "./case-tensors.ts";
import { generator, normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

interface Setting {
  /** Rows of the source, and of the other one. */
  readonly targets: number;
  readonly others: number;
  readonly rows: number;
  readonly width: number;
  /** Columns of the source before and after the joined ones. */
  readonly sides?: readonly [before: number, after: number];
  /** Of the source the rows that are asked for: a slot of several. */
  readonly range?: { readonly firstRow: number; readonly rowCount: number };
}

const SETTINGS: readonly Setting[] = [
  { targets: 1, others: 1, rows: 1, width: 1 },
  { targets: 5, others: 2, rows: 3, width: 3 },
  { targets: 7, others: 4, rows: 17, width: 4 },
  { targets: 65, others: 64, rows: 64, width: 5 },
  { targets: 10, others: 3, rows: 0, width: 8 },
  { targets: 0, others: 9, rows: 17, width: 8 },
  { targets: 9, others: 0, rows: 17, width: 8 },
  { targets: 3, others: 3, rows: 129, width: 257 },
  { targets: 9, others: 2, rows: 24, width: 768, sides: [768, 0] },
  { targets: 9, others: 8, rows: 24, width: 16, sides: [4, 8] },
  // Rows in fours, from a column or a width that is not: no vectors.
  { targets: 9, others: 8, rows: 24, width: 16, sides: [2, 2] },
  { targets: 9, others: 8, rows: 24, width: 16, sides: [0, 3] },
  { targets: 9, others: 8, rows: 24, width: 7, sides: [7, 7] },
  { targets: 9, others: 4, rows: 40, width: 8, range: { firstRow: 3, rowCount: 3 } },
  { targets: 9, others: 4, rows: 40, width: 3, sides: [1, 2], range: { firstRow: 8, rowCount: 1 } },
  { targets: 9, others: 4, rows: 40, width: 3, range: { firstRow: 0, rowCount: 0 } },
  // More rows than one dimension of a grid holds.
  { targets: 65_537, others: 5, rows: 50, width: 1 },
];

/** Rows of both sources in turn; every seventh entry points just past the end of its source, the next far beyond. */
function entriesOf({ targets, others, rows }: Setting, source: "a" | "b"): Uint32Array {
  const uniform = generator(targets * 31 + rows);
  const [own, other] = source === "a" ? [0, fromB] : [fromB, 0];
  return Uint32Array.from({ length: rows }, (_, r) => {
    const [count, bit] = uniform() < 0.6 ? [targets, own] : [others, other];
    if (r % 7 === 3) return bit + count;
    if (r % 7 === 4) return bit + 0x7fffffff;
    return bit + Math.floor(uniform() * count);
  });
}

function caseOf(setting: Setting, source: "a" | "b"): OpCase {
  const { targets, rows, width, sides = [0, 0], range } = setting;
  const columns = sides[0] + width + sides[1];
  return {
    name: `${source}, ${rows} of ${targets} x ${width}, sides ${sides.join(" ")}${range === undefined ? "" : `, ${range.rowCount} from ${range.firstRow}`}`,
    attributes: { source, at: sides[0], ...range },
    inputs: (): Record<string, CaseTensor> => {
      const entries = entriesOf(setting, source);
      const table = (data: Uint32Array): CaseTensor => ({ shape: [rows], data, rows: "rows" });
      return {
        x: matrix(normal(rows + width, rows * width), width),
        rows: table(entries),
        order: table(orderOf(entries)),
        like: {
          shape: [targets, columns],
          data: new Float32Array(targets * columns),
          ...(range === undefined ? { rows: "targets" } : {}),
        },
      };
    },
    tolerance: toleranceFor(rows),
  };
}

/** Every setting for either source. */
export const joinRowsGradientCases: CaseTable = {
  stem: "join-rows-gradient",
  cases: SETTINGS.flatMap((setting) => (["a", "b"] as const).map((source) => caseOf(setting, source))),
};
