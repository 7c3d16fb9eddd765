/** @file Names of the run-time lengths and inputs that hosts, routing and the model agree on. */

import { EngineError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { runtimeDim } from "../ops/op.ts";
import type { Dim, RuntimeDim } from "../ops/op.ts";

/** Rows of the packed batch. */
export const ROWS: RuntimeDim = runtimeDim("rows");
/** Number of sequences. */
export const SEQUENCES: RuntimeDim = runtimeDim("sequences");
/** Length of a segment table: sequences + 1. */
export const OFFSETS: RuntimeDim = runtimeDim("offsets");

/** The segment table of all rows: u32 [sequences + 1]. */
export function segmentsInput(b: GraphBuilder): Value {
  return b.input("segments", [OFFSETS], "u32");
}

/** The symbol of a run-time axis. */
export function symbolOf(dim: Dim): string {
  if (typeof dim === "object") return dim.symbol;
  throw new EngineError("SHAPE", `an axis of ${dim} is fixed, expected a run-time length`);
}

const PROBABILITIES = "probabilities ";

/** The run-time number of attention probabilities per head between rows of two segment tables, which are run-time inputs. */
export function probabilityCount(queries: Value, keys: Value): string {
  return `${PROBABILITIES}${queries.node.label} ${keys.node.label}`;
}

/** @returns the names of the two segment tables in such a symbol, or null when it is another one. */
export function probabilityTables(symbol: string): readonly [string, string] | null {
  if (!symbol.startsWith(PROBABILITIES)) return null;
  const [queries, keys] = symbol.slice(PROBABILITIES.length).split(" ");
  return [queries as string, keys as string];
}
