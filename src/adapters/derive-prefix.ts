/** @file A reparametrised prefix (MATHS §2.8): its rows are computed of an embedding through a small network. */

import type { Value } from "../graph/value.ts";
import { activation } from "../ops/activation.ts";
import type { PrefixConfig } from "./config/types.ts";
import { product } from "./derive.ts";
import type { DerivationDraft, Term } from "./derive.ts";
import { prefixTable } from "./pack-rows.ts";
import { need } from "./tensors.ts";

/** Adds what the rows of every layer's prefix are computed of; a flat one is stored as it runs. */
export function derivePrefix(draft: DerivationDraft, { leave_out, non_linearity: kind }: PrefixConfig): void {
  const { host, tensors } = draft.from;
  const embedded = tensors.get("prefix.wte.weight");
  if (embedded === undefined) return;
  const [rows] = embedded.shape as [number, number];
  const inner = product(draft.source("prefix.wte.weight"), draft.source("prefix.control_trans.0.weight"), {
    bias: draft.source("prefix.control_trans.0.bias"),
  });
  const hidden: Term = (kit) => kit.b.op(activation, { x: inner(kit) }, { kind }).y as Value;
  const [, units] = need(tensors, "prefix.control_trans.2.weight").shape as [number, number];
  // Keys beside values of one layer.
  const width = 2 * host.heads * host.headWidth;
  const carrying = Array.from({ length: host.layers }, (_, layer) => layer).filter(
    (layer) => !leave_out.includes(layer),
  );
  carrying.forEach((layer, j) => {
    const weight = draft.source("prefix.control_trans.2.weight", { from: j * width * units, shape: [width, units] });
    const bias = draft.source("prefix.control_trans.2.bias", { from: j * width, shape: [width] });
    draft.stretch(prefixTable(layer), 0, [rows, width], product(hidden, weight, { bias }));
  });
}
