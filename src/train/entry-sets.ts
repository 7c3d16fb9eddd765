/** @file The sets of a training as what enters its lowest trained layer, computed once before the first step. */

import type { Model } from "../model/model.ts";
import type { SetName } from "./config/data.ts";
import { EVALUATION_EPOCH } from "./data/part.ts";
import { EntryCache } from "./entry.ts";
import type { LoopSet } from "./loop.ts";
import type { StepPart, Trainer } from "./trainer.ts";

/** More than this is not kept on the host. */
const MOST_BYTES = 2 ** 30;

/** Sets to compute, with what they are computed from. */
export interface EntrySets {
  readonly sets: Readonly<Partial<Record<SetName, LoopSet>>>;
  readonly part: (set: SetName, examples: readonly number[], epoch: number) => StepPart;
  readonly signal: AbortSignal;
  /** Entries of a higher layer are not computed. */
  readonly highest: number;
  /** Called with how many examples of all are done. */
  readonly progress: (done: number, total: number) => void;
}

/** Makes parts that begin at a layer. */
export interface Entries {
  readonly layer: number;
  readonly bytes: number;
  readonly part: EntrySets["part"];
}

const keyOf = (set: SetName, example: number): string => `${set} ${example}`;

/**
 * Computes what enters the lowest layer that is trained. Inputs must be the same in every epoch, and what stands below that layer frozen
 * and without dropout.
 * @returns null where nothing would be saved, or too much kept
 */
export async function computeEntries(model: Model, trainer: Trainer, work: EntrySets): Promise<Entries | null> {
  const sets = Object.entries(work.sets) as [SetName, LoopSet][];
  const [first] = sets;
  if (first === undefined) return null;
  const layer = await trainer.lowest(work.part(first[0], first[1].parts[0] as readonly number[], EVALUATION_EPOCH));
  const rows = sets.reduce((sum, [, { lengths }]) => sum + lengths.reduce((total, length) => total + length, 0), 0);
  const { shape } = model.host;
  // Below the first layer ids are only looked up, but of audio and images the front end is computed.
  const lowest = shape.input.kind === "ids" ? 1 : 0;
  if (layer === null || layer < lowest || layer > work.highest || 4 * rows * shape.width > MOST_BYTES) return null;
  const cache = new EntryCache(model, layer);
  const total = sets.reduce((sum, [, { lengths }]) => sum + lengths.length, 0);
  let done = 0;
  for (const [set, { parts, lengths }] of sets) {
    for (const examples of parts) {
      work.signal.throwIfAborted();
      const keys = examples.map((example) => keyOf(set, example));
      const { input } = work.part(set, examples, EVALUATION_EPOCH);
      await cache.compute(
        keys,
        input,
        examples.map((example) => lengths[example] as number),
      );
      done += examples.length;
      work.progress(done, total);
    }
  }
  const part: Entries["part"] = (set, examples, epoch) => ({
    ...work.part(set, examples, epoch),
    entry: cache.entry(examples.map((example) => keyOf(set, example))),
  });
  return { layer, bytes: cache.bytes, part };
}
