/** @file Rows put to their places among zeros: the transpose of reading rows through indices. */

import { fill } from "../fill.ts";
import type { Builder, Ref } from "../gradient.ts";
import type { RowRange } from "../row-range.ts";
import { scatterAddRows } from "../scatter-add-rows.ts";
import { sumByIndex } from "../sum-by-index.ts";

/**
 * x[R, D], rows[R] u32 -> y[B, D], the sum of the rows that belong to each place, of the shape of `like`. Indices past B are left out.
 * Indices that the device finds are distinct; given ones may repeat, and may be asked for a range of the places alone.
 */
export function scatterRows(b: Builder, x: Ref, rows: Ref, like: Ref, range: RowRange = {}): Ref {
  if (b.given(rows)) return b.op(sumByIndex, { x, rows, order: b.order(rows), like }, { ...range }).y as Ref;
  const base = b.op(fill, { x: like }, { value: 0 }).y;
  return b.op(scatterAddRows, { base, x, rows }, {}).y as Ref;
}
