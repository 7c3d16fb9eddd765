/** @file Prefixes side by side as the `adapters` library has them (MATHS §2.8): what is not reproduced is refused. */

import { EngineError } from "../errors.ts";
import type { Composition } from "./composition.ts";
import type { ProgramNames } from "./program.ts";

/**
 * Upstream fills the shorter prefixes of branches side by side with positions whose key and value are the pad id and whose
 * score is one too high. Attention has no such positions here.
 * @throws EngineError UNSUPPORTED
 */
export function checkPrefixLengths(branches: readonly Composition[], names: ProgramNames): void {
  const lengths = branches.map((branch) => prefixLengths(branch, names));
  const layers = Math.max(...lengths.map(({ length }) => length));
  for (let layer = 0; layer < layers; layer += 1) {
    const found = lengths.map((branch) => branch[layer] ?? 0);
    if (found.every((length) => length === found[0])) continue;
    const message = `compat: prefixes of ${found.join(", ")} positions side by side (layer ${layer}); the library attends to its padding of the shorter ones`;
    const fix = "leave compat away, or use prefixes of one length";
    throw new EngineError("UNSUPPORTED", message, { where: "setActive", fix });
  }
}

/** Positions that a branch puts in front of the keys, by layer. */
function prefixLengths(composition: Composition, names: ProgramNames): number[] {
  if (composition.kind === "none") return [];
  if (composition.kind === "adapter") {
    const { resident, structure } = names.adapter(composition.name);
    return structure.layers.map(({ prefix }) => (prefix === null ? 0 : resident.packed.prefixRows));
  }
  const inner = composition.children.map((child) => prefixLengths(child, names));
  const layers = Math.max(...inner.map(({ length }) => length));
  const join = (values: readonly number[]): number =>
    composition.kind === "stack" ? values.reduce((a, b) => a + b, 0) : Math.max(...values);
  return Array.from({ length: layers }, (_, layer) => join(inner.map((branch) => branch[layer] ?? 0)));
}
