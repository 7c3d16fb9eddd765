/** @file Outputs that are written where they are to stay, in a resident parameter, instead of in the arena and then copied. */

import { callOf } from "./schedule.ts";
import type { Step } from "./schedule.ts";
import { root, valueKey } from "./value.ts";
import type { Graph, Value } from "./value.ts";

/** A stretch of an f32 parameter. */
export interface Home {
  readonly parameter: string;
  /** Its first element. */
  readonly at: number;
}

/** Bindings begin at multiples of so many bytes on every device. */
const BINDING = 256;

/**
 * Chooses the outputs that can be written at home: those that an op makes, that nothing reads, that are one output, and whose home a
 * binding can begin at. A launch may not read one part of a buffer and write another, and no copy goes from a buffer to itself.
 * @param homes by the name of an output
 * @returns homes by the key of the value that an op makes
 */
export function homesOf(
  { outputs }: Graph,
  steps: readonly Step[],
  homes: ReadonlyMap<string, Home>,
): ReadonlyMap<string, Home> {
  const read = new Set(steps.flatMap(({ node }) => Object.values(node.inputs).map((value) => valueKey(root(value)))));
  const counts = new Map<string, number>();
  for (const value of outputs.values()) {
    const key = valueKey(root(value));
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const updated = ({ node, output }: Value): boolean => node.op?.updates?.(callOf(node))[output] !== undefined;
  const chosen = new Map<string, Home>();
  for (const [name, home] of homes) {
    const value = outputs.get(name);
    if (value === undefined) continue;
    const made = root(value);
    const key = valueKey(made);
    const fits = made.node.kind === "op" && !updated(made) && (home.at * 4) % BINDING === 0;
    if (fits && !read.has(key) && counts.get(key) === 1) chosen.set(key, home);
  }
  return chosen;
}
