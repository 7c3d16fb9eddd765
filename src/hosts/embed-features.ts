/** @file The embedding of hosts that read features: projected rows, a learned class token before those of every sequence, positions. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { embedding } from "../ops/embedding.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { runtimeDim } from "../ops/op.ts";
import type { RuntimeDim } from "../ops/op.ts";
import type { BatchLengths, HostFeed, HostShape, Stream } from "./host.ts";
import { ROWS } from "./symbols.ts";
import type { WeightLookup } from "./weights.ts";

const FRAMES = "frames";

/** Rows of features, where a class token makes the hidden rows more than that. */
export const FEATURE_ROWS: RuntimeDim = runtimeDim(FRAMES);

/** Run-time input: the feature of every hidden row. */
const INDEX = "rows.index";
/** The index that `gather-rows` answers with its fill row: here the class token. */
const FILL = 0xffffffff;

/** `hidden` holds the features: projected, with the class token where there is one, and positions: [rows, d]. */
export function embedFeatures(
  b: GraphBuilder,
  weights: WeightLookup,
  { width, maxTokens }: HostShape,
  { hidden: features, segments }: Stream,
): Stream {
  let base = weights.linear(b, features, "embeddings.patch");
  if (weights.has("embeddings.class")) {
    const fill = b.reshape(weights.value(b, "embeddings.class"), [width]);
    base = b.op(gatherRows, { x: base, rows: b.input(INDEX, [ROWS], "u32"), fill }, {}).y as Value;
  }
  const position = b.reshape(weights.value(b, "embeddings.position"), [maxTokens, width]);
  return { hidden: b.op(embedding, { base, position, segments }, { positionOffset: 0 }).y as Value, segments };
}

/** The features of a batch whose sequences each begin with the class token, and how many there are. */
export function classTokenFeed({ rows }: BatchLengths): HostFeed {
  const index = new Uint32Array(rows.reduce((sum, count) => sum + count, 0));
  let row = 0;
  let feature = 0;
  for (const count of rows) {
    index[row++] = FILL;
    for (let i = 1; i < count; i += 1) index[row++] = feature++;
  }
  return { inputs: { [INDEX]: index }, sizes: { [FRAMES]: feature } };
}
