/** @file Attributes that name some of the rows of a table: a slot of a stack of slots, say. */

import { EngineError } from "../errors.ts";
import type { Dim } from "./op.ts";

/** The rows of a table that a result has. */
export interface RowRange {
  /** The first one; 0 when absent. */
  readonly firstRow?: number | undefined;
  /** How many; all of them when absent. */
  readonly rowCount?: number | undefined;
}

/**
 * @returns how many rows a result has
 * @throws EngineError SHAPE for rows that the table does not have, or for some of a table whose length only a run knows
 */
export function rangeRows(op: string, name: string, all: Dim, { firstRow = 0, rowCount }: RowRange): Dim {
  if (firstRow === 0 && rowCount === undefined) return all;
  const last = firstRow + (rowCount ?? 0);
  const whole = rowCount !== undefined && [firstRow, rowCount].every((value) => Number.isInteger(value) && value >= 0);
  if (whole && typeof all === "number" && last <= all) return rowCount;
  const shown = typeof all === "number" ? String(all) : all.symbol;
  throw new EngineError("SHAPE", `${op}: rows ${firstRow} to ${last} are asked for, ${name} axis 0 is ${shown}`, {
    where: `${op}.${name}`,
  });
}
