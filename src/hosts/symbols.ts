/** @file Names of the run-time lengths and inputs that hosts, routing and the model agree on. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { runtimeDim } from "../ops/op.ts";
import type { RuntimeDim } from "../ops/op.ts";

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
