/** @file The embedding of hosts that read ids: word, position and type vectors, with room for rows put between the words. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { embedding } from "../ops/embedding.ts";
import type { EmbeddingSite } from "../sites/site.ts";
import type { Stream } from "./host.ts";
import { ROWS, segmentsInput } from "./symbols.ts";
import type { WeightLookup } from "./weights.ts";

/** Word vectors of the packed ids: [rows, width]. */
function wordRows(b: GraphBuilder, weights: WeightLookup): Stream {
  const segments = segmentsInput(b);
  const inputs = { ids: b.input("ids", [ROWS], "u32"), word: weights.value(b, "embeddings.word"), segments };
  return { hidden: b.op(embedding, inputs, { positionOffset: 0 }).y as Value, segments };
}

/** The sum of word, position and, where the host has them, type vectors over the packed ids: [rows, width]. */
export function embedSum(
  b: GraphBuilder,
  weights: WeightLookup,
  positionOffset: number,
  site: EmbeddingSite | undefined,
): Stream {
  const position = weights.value(b, "embeddings.position");
  const type_table = weights.has("embeddings.type") ? weights.value(b, "embeddings.type") : undefined;
  if (site !== undefined) {
    const rows = wordRows(b, weights);
    const { words, segments, types } = site.words(rows.hidden, rows.segments);
    const typed = type_table === undefined ? {} : { types, type_table };
    const inputs = { base: words, position, segments, ...typed };
    return { hidden: b.op(embedding, inputs, { positionOffset }).y as Value, segments };
  }
  const segments = segmentsInput(b);
  const typed = type_table === undefined ? {} : { types: b.input("types", [ROWS], "u32"), type_table };
  const ids = b.input("ids", [ROWS], "u32");
  const inputs = { ids, word: weights.value(b, "embeddings.word"), position, segments, ...typed };
  return { hidden: b.op(embedding, inputs, { positionOffset }).y as Value, segments };
}

/** The word vectors alone, for hosts without a position table, with the rows that a model puts between them. */
export function embedWords(b: GraphBuilder, weights: WeightLookup, site: EmbeddingSite | undefined): Stream {
  const rows = wordRows(b, weights);
  if (site === undefined) return rows;
  const { words, segments } = site.words(rows.hidden, rows.segments);
  return { hidden: words, segments };
}

/** LN(word + position + type) over the packed ids: [rows, width]. */
export function embedIds(b: GraphBuilder, weights: WeightLookup, eps: number, site?: EmbeddingSite): Stream {
  const { hidden, segments } = embedSum(b, weights, 0, site);
  return { hidden: weights.norm(b, hidden, "embeddings.norm", eps), segments };
}
