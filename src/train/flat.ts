/** @file The flat layout of what is trained: weights packed into few buffers, gradient and states beside them in blocks of 64 elements. */

import type { Pack } from "../graph/parameters.ts";
import { BLOCK_ELEMENTS } from "../ops/optimizer-step.ts";
import type { StepGradient } from "./step-graph.ts";
import type { Trainable } from "./trainable.ts";

/** Elements of a trained stretch that lie together and decay, or do not: a group of the optimiser. */
export interface FlatPart {
  /** The number of the stretch, and the part's first element in it. */
  readonly stretch: number;
  readonly from: number;
  readonly elements: number;
  /** Matrices decay, biases and the like do not. */
  readonly decays: boolean;
  /** The number of its pack, its first element in the pack, and in the pack's flat gradient and states. */
  readonly pack: number;
  readonly first: number;
  readonly at: number;
}

/** A place in the flat gradient of a pack, and the number of its part. */
export interface FlatPlace {
  readonly part: number;
  readonly pack: number;
  readonly at: number;
}

/** Where everything that is trained lies. Group i of the optimiser is part i. */
export interface FlatLayout {
  readonly parts: readonly FlatPart[];
  /** Elements of the flat gradient of every pack. */
  readonly elements: readonly number[];
  /** The table of blocks of every pack: first element in the pack, elements, group, nothing. */
  readonly blocks: readonly Uint32Array[];
}

function padded(elements: number): number {
  return Math.ceil(elements / BLOCK_ELEMENTS) * BLOCK_ELEMENTS;
}

/** Lays out trained stretches whose parameters were packed. */
export function flatLayout(packs: readonly Pack[], trainables: readonly Trainable[]): FlatLayout {
  const elements = packs.map(() => 0);
  const records: number[][] = packs.map(() => []);
  const parts: FlatPart[] = [];
  trainables.forEach(({ parameter, slot = 0, elements: length, parts: trained }, stretch) => {
    const pack = packs.findIndex(({ places }) => places.some(({ name }) => name === parameter));
    const place = packs[pack]?.places.find(({ name }) => name === parameter);
    if (place === undefined) throw new Error(`${parameter} is in no pack`);
    for (const { from, elements: count, decays } of trained) {
      const at = elements[pack] as number;
      const first = place.at + slot * length + from;
      for (let done = 0; done < count; done += BLOCK_ELEMENTS)
        (records[pack] as number[]).push(first + done, Math.min(BLOCK_ELEMENTS, count - done), parts.length, 0);
      parts.push({ stretch, from, elements: count, decays, pack, first, at });
      elements[pack] = at + padded(count);
    }
  });
  return { parts, elements, blocks: records.map((words) => Uint32Array.from(words)) };
}

/** Where the elements of a gradient belong. */
export function placeOf(
  { parts }: FlatLayout,
  trainables: readonly Trainable[],
  { parameter, at, elements }: StepGradient,
): FlatPlace {
  const index = parts.findIndex(
    ({ stretch, from, elements: count }) =>
      trainables[stretch]?.parameter === parameter && from <= at && at + elements <= from + count,
  );
  const part = parts[index];
  if (part === undefined)
    throw new Error(`the gradient of ${parameter} from ${at} on belongs to nothing that is trained`);
  return { part: index, pack: part.pack, at: part.at + at - part.from };
}
