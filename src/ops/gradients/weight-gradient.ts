/** @file The gradient of numbers that rows were multiplied by. */

import type { Builder, Ref } from "../gradient.ts";
import { rowDot } from "../row-dot.ts";
import { scatterRows } from "./scatter-rows.ts";

/** dy[R, D], x[R, D], rows?[R] u32, weight[B] -> ∂weight[B]: ∂y[r] · x[r] at the place rows[r], or r without rows. */
export function weightGradient(
  b: Builder,
  { dy, x, rows, weight }: { readonly dy: Ref; readonly x: Ref; readonly rows: Ref | undefined; readonly weight: Ref },
): Ref {
  const dots = b.op(rowDot, { x, w: dy }, {}).y as Ref;
  if (rows === undefined) return dots;
  // Numbers are rows of one column.
  const column = (value: Ref): Ref => b.reshape(value, [...value.type.shape, 1]);
  return b.reshape(scatterRows(b, column(dots), rows, column(weight)), weight.type.shape);
}
