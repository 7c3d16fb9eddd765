/** @file Puts onto a model what the command line says about adapters, and tells which heads belong to a batch. */

import { leavesOf } from "../adapters/composition.ts";
import type { Model } from "../model/model.ts";
import type { AdapterSettings } from "./adapter-options.ts";
import type { Io } from "./command.ts";

/**
 * Adds adapters, fusions and heads; one line per adapter goes to stderr.
 * @throws EngineError as `addAdapter`, `addFusion` and `addHead` do
 */
export async function addAll(
  model: Model,
  { adapters, fusions, heads }: Pick<AdapterSettings, "adapters" | "fusions" | "heads">,
  io: Io,
): Promise<void> {
  for (const { name, place } of adapters) {
    const { summary } = await model.addAdapter(name, place);
    io.stderr.write(`${summary}\n`);
  }
  for (const { names, place } of fusions) await model.addFusion(names, place);
  for (const { name, place } of heads) await model.addHead(name, place);
}

/** Makes the composition of the command line the one that runs. */
export function activate(model: Model, { active, drop, compat }: AdapterSettings): void {
  if (drop !== null) model.dropAdapters({ layers: drop });
  if (active !== null) model.setActive(active, compat === undefined ? {} : { compat });
}

/**
 * @param batch the adapter of every sequence, where each has its own
 * @param light the adapter of the light path
 * @returns the outputs of a batch: those asked for, and the heads of the adapters that run in it. A head that was asked for
 *   is left out of a batch in which no sequence has its adapter.
 */
export function batchOutputs(
  model: Model,
  { adapters, heads, active }: AdapterSettings,
  asked: readonly string[],
  batch: readonly (string | null | undefined)[],
  light: string | null,
): string[] {
  const running = new Set<string | null | undefined>([...(active === null ? [] : leavesOf(active)), light, ...batch]);
  const chosen = batch.some((name) => name !== undefined);
  const absent = (head: string): boolean =>
    chosen && adapters.some(({ name }) => name === head) && !running.has(head) && model.heads.includes(head);
  const own = model.heads.filter((head) => !absent(head) && (running.has(head) || isGiven(heads, head)));
  const kept = asked.filter((output) => !output.startsWith("heads.") || !absent(output.slice("heads.".length)));
  return [...new Set([...kept, ...own.map((head) => `heads.${head}`)])];
}

/** A head that `--head` names, and not one that came along with an adapter. */
function isGiven(heads: AdapterSettings["heads"], head: string): boolean {
  return heads.some(({ name }) => name === head);
}
