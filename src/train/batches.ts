/** @file Which examples a step takes: a seeded order per epoch, cut into parts of bounded size, some of which make a step. */

import { EngineError } from "../errors.ts";
import { philox } from "../random.ts";
import type { BatchPlan, LengthPlan } from "./config/run.ts";

/** Number of this use of the generator: others with the same seed draw independently. */
const STREAM = 0x6f726465;

/** @returns the order of so many examples in an epoch. It follows from seed and epoch alone. */
export function orderOf(count: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last -= 1) {
    const [bits] = philox([last, epoch, 0, 0], [seed, STREAM]);
    const chosen = Math.floor((bits / 2 ** 32) * (last + 1));
    const value = order[last] as number;
    order[last] = order[chosen] as number;
    order[chosen] = value;
  }
  return order;
}

/** Bounds of one part. A sequence that is longer than all tokens of a part is a part of its own. */
export type PartBounds = Pick<BatchPlan, "sequences" | "tokens">;

/** Cuts an order into parts, one behind the other. */
export function cutParts(
  order: Iterable<number>,
  lengths: ArrayLike<number>,
  { sequences, tokens }: PartBounds,
): number[][] {
  const parts: number[][] = [];
  let held = 0;
  for (const example of order) {
    const length = lengths[example] as number;
    const last = parts.at(-1);
    const full = last === undefined || last.length >= (sequences ?? Infinity) || held + length > (tokens ?? Infinity);
    if (full) {
      parts.push([example]);
      held = length;
    } else {
      last.push(example);
      held += length;
    }
  }
  return parts;
}

/** A place in a training: the epoch, and the step in it that comes next. */
export interface Position {
  readonly epoch: number;
  readonly at: number;
}

/** What the batches of a training follow from. */
export interface BatchOptions {
  readonly lengths: readonly number[];
  readonly batch: BatchPlan;
  readonly seed: number;
}

/** The steps of a training, found epoch by epoch. */
export class Batches {
  readonly #options: BatchOptions;
  #known: { readonly epoch: number; readonly steps: readonly (readonly number[][])[] } | null = null;

  constructor(options: BatchOptions) {
    if (options.lengths.length === 0)
      throw new EngineError("BAD_INPUT", "there are no examples to train on", { where: "data.train" });
    this.#options = options;
  }

  /** The steps of an epoch: parts of each, as numbers of examples. The last step may have fewer parts. */
  stepsOf(epoch: number): readonly (readonly number[][])[] {
    if (this.#known?.epoch === epoch) return this.#known.steps;
    const { lengths, batch, seed } = this.#options;
    const parts = cutParts(orderOf(lengths.length, seed, epoch), lengths, batch);
    const steps: number[][][] = [];
    for (let from = 0; from < parts.length; from += batch.accumulate)
      steps.push(parts.slice(from, from + batch.accumulate));
    this.#known = { epoch, steps };
    return steps;
  }

  /** The parts of the step at a place. */
  at({ epoch, at }: Position): readonly number[][] {
    return this.stepsOf(epoch)[at] as readonly number[][];
  }

  /** The place behind a place. */
  after({ epoch, at }: Position): Position {
    return at + 1 < this.stepsOf(epoch).length ? { epoch, at: at + 1 } : { epoch: epoch + 1, at: 0 };
  }

  /** How many steps a training of this length has. Epochs that are bounded by tokens differ in their steps. */
  count(length: LengthPlan): number {
    if ("steps" in length) return length.steps;
    let steps = 0;
    for (let epoch = 0; epoch < length.epochs; epoch += 1) steps += this.stepsOf(epoch).length;
    return steps;
  }
}

/**
 * A part that is at least as large as each of some: in rows and in sequences. Plans that are made for it hold all of them, and so every
 * run of a training uses the same plans, whichever step it begins with.
 * @param parts examples of each
 * @param lengths rows of every example
 */
export function largestPart(parts: readonly (readonly number[])[], lengths: readonly number[]): number[] {
  const rows = (part: readonly number[]): number =>
    part.reduce((sum, example) => sum + (lengths[example] as number), 0);
  const [first = []] = parts;
  const most = parts.reduce((best, part) => (rows(part) > rows(best) ? part : best), first);
  const sequences = parts.reduce((count, part) => Math.max(count, part.length), 0);
  const shortest = lengths.reduce((best, length, example) => (length < (lengths[best] as number) ? example : best), 0);
  return [...most, ...Array.from({ length: sequences - most.length }, () => shortest)];
}
