/** @file Gradients of tables of rows of which one slot is trained. */

import type { BackwardCall, Gradient, Ref } from "../gradient.ts";
import type { RowRange } from "../row-range.ts";

/** @returns the gradient of all rows of an input, or where one slot of it is trained of that slot's rows. */
export function ofSlot(
  call: Pick<BackwardCall, "slotOf" | "slotRows">,
  role: string,
  build: (range: RowRange) => Ref,
): Gradient {
  const slot = call.slotOf(role);
  if (slot === null) return build({});
  const rowCount = call.slotRows(role);
  return [{ at: 0, value: build({ firstRow: slot * rowCount, rowCount }) }];
}
