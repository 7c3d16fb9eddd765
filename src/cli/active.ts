/** @file What a configuration file names as active. */

import { parseComposition } from "../adapters/composition-text.ts";
import type { Model } from "../model/model.ts";

/**
 * Sets an adapter by its name, else a composition by its text; null: none.
 * @param adapters their names, which may hold signs that the text of a composition gives a meaning to
 * @throws EngineError as `setActive` and `parseComposition` do
 */
export function setActiveField(model: Model, active: string | null, adapters: readonly string[]): void {
  const named = active === null || adapters.includes(active);
  model.setActive(named ? active : parseComposition(active));
}
