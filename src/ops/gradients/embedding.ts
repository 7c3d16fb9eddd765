/** @file Sums of table rows: ∂base = ∂y, and each row of a table gets the sum of ∂y over the rows that read it. */

import type { EmbeddingAttributes } from "../embedding.ts";
import type { BackwardCall, Builder, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { positionSums } from "../position-sums.ts";
import { sumByIndex } from "../sum-by-index.ts";

/** Of `embedding`. Ids and types are given. */
export const embeddingRule: GradientRule<EmbeddingAttributes> = (b, call) => ({
  ...(call.wants("base") ? { base: gradientOf(call) } : {}),
  ...(call.wants("word") ? { word: tableGradient(b, call, "word", "ids") } : {}),
  ...(call.wants("type_table") ? { type_table: tableGradient(b, call, "type_table", "types") } : {}),
  ...(call.wants("position") ? { position: positionGradient(b, call) } : {}),
});

function tableGradient(b: Builder, call: BackwardCall<unknown>, table: string, index: string): Ref {
  const rows = inputOf(call, index);
  const inputs = { x: gradientOf(call), rows, order: b.order(rows), like: inputOf(call, table) };
  return b.op(sumByIndex, inputs, {}).y as Ref;
}

function positionGradient(b: Builder, call: BackwardCall<EmbeddingAttributes>): Ref {
  const positions = call.inputs.position?.type.shape[0] as number;
  const { positionOffset } = call.attributes;
  const inputs = { x: gradientOf(call), segments: call.inputs.segments };
  return b.op(positionSums, inputs, { positions, positionOffset }).y as Ref;
}
