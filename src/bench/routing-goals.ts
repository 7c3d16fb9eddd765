/** @file What routing must reach, by unit and form. */

import type { RoutedForm } from "./encoder-forms.ts";
import type { Gain } from "./encoder-table.ts";
import { atLeast, atMost } from "./report.ts";
import type { Reach } from "./report.ts";
import type { RoutingUnit } from "./routing-units.ts";

/** Speed-up of a stack of two layers on the software adapter, by reduction factor. */
const STACK_SPEED_UP: Readonly<Record<number, number>> = { 3: 2.7, 5: 4.3, 8: 6.4 };
const STACK_REALISED = 0.88;
/** Of a single layer of 512 tokens. */
const LAYER_REALISED = { share: 0.85, reductions: [3, 5] };
const LONG_SPEED_UP = 8;
const MOST_OVERHEAD = 0.05;
/** Scoring, soft top-k and selection, as a share of all launches of a routed layer of 4,096 tokens. */
export const MOST_SELECTION_SHARE = 0.02;

/** @returns the goals of a form that was timed against dense + adapter. */
export function goalsOf(
  { id, part }: RoutingUnit,
  software: boolean,
  { reduction, attention }: RoutedForm,
  { speedUp, realised }: Gain,
): readonly Reach[] {
  if (part === "long") return [atLeast("speed-up", LONG_SPEED_UP, speedUp)];
  if (part === "stack" && attention === "k-to-all") return [atLeast("realised share", STACK_REALISED, realised)];
  const stack = STACK_SPEED_UP[reduction];
  if (part === "stack" && software && stack !== undefined) return [atLeast("speed-up", stack, speedUp)];
  if (part === "overhead") return [atMost("overhead with r = 1", MOST_OVERHEAD, 1 / speedUp - 1)];
  if (id === "bert-base/128" && reduction === 3) return [atLeast("speed-up", 1, speedUp)];
  if (id !== "bert-base/512") return [];
  if (!LAYER_REALISED.reductions.includes(reduction)) return [];
  return [atLeast("realised share", LAYER_REALISED.share, realised)];
}
