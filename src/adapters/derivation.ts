/**
 * @file Slot data that is computed of an adapter's tensors, and no copy of them: hypercomplex factors, norms and scalings that are folded
 * into matrices, VeRA, DoRA, a reparametrised prefix. Packing computes it once; here it is built as graph values, so that a training
 * reaches the tensors behind it and computes it anew after every step.
 */

import { methodsOf } from "./config/methods.ts";
import type { MethodConfig } from "./config/types.ts";
import { peftParts } from "./define.ts";
import type { AdapterDefinition } from "./define.ts";
import { DerivationDraft } from "./derive.ts";
import type { DeriveFrom, DerivedSource, DerivedStretch } from "./derive.ts";
import { deriveBottlenecks } from "./derive-bottleneck.ts";
import { deriveLinear } from "./derive-linear.ts";
import { derivePrefix } from "./derive-prefix.ts";
import { librarySettings } from "./linear-parts.ts";

/** How an adapter's slots are computed, as far as they are. */
export interface Derivation {
  readonly sources: ReadonlyMap<string, DerivedSource>;
  readonly stretches: readonly DerivedStretch[];
}

function deriveMethod(draft: DerivationDraft, config: MethodConfig): void {
  if (config.architecture === null) deriveBottlenecks(draft, config);
  else if (config.architecture === "lora") deriveLinear(draft, librarySettings(config));
  else if (config.architecture === "prefix_tuning") derivePrefix(draft, config);
}

/** @returns what of an adapter's slots is computed; null where all of it is copied */
export function derivationOf(
  { config, peft, tensors }: AdapterDefinition,
  from: Omit<DeriveFrom, "tensors">,
): Derivation | null {
  const draft = new DerivationDraft({ ...from, tensors });
  if (config === null) {
    const parts = peftParts(peft as Readonly<Record<string, unknown>>);
    if (parts.kind === "linear") deriveLinear(draft, parts.settings);
  } else for (const method of methodsOf(config)) deriveMethod(draft, method);
  return draft.stretches.length === 0 ? null : draft;
}
