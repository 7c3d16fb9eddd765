/** @file What the cases of the optimisers share: stretches of weights with gaps between them, groups, clipping, gradients that are not finite. */

import { normal } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

const BLOCK = 64;

/** A stretch of weights that is trained. */
interface Stretch {
  readonly at: number;
  readonly length: number;
  readonly group: number;
}

// One element, one block, one over a block; begins at any place, with frozen elements before, between and behind.
const STRETCHES: readonly Stretch[] = [
  { at: 3, length: 1, group: 0 },
  { at: 7, length: 64, group: 1 },
  { at: 90, length: 65, group: 0 },
  { at: 160, length: 130, group: 2 },
  { at: 292, length: 4, group: 3 },
];
const WEIGHTS = 301;
// Factor of the learning rate, weight decay, and 1 − β^t for both moments: at different steps each; the last one stands still.
const moments = (t: number): [number, number] => [1 - 0.9 ** t, 1 - 0.999 ** t];
const GROUPS = Float32Array.of(1, 0.01, ...moments(3), 1, 0, ...moments(1), 0.5, 0.1, ...moments(1000), 0, 0.1, 1, 1);

/** Records of all blocks, and how many elements of the flat gradient are there. */
function table(stretches: readonly Stretch[]): { blocks: Uint32Array; present: boolean[] } {
  const records: number[] = [];
  const present: boolean[] = [];
  for (const { at, length, group } of stretches) {
    for (let done = 0; done < length; done += BLOCK) {
      const count = Math.min(BLOCK, length - done);
      records.push(at + done, count, group, 0);
      for (let i = 0; i < BLOCK; i += 1) present.push(i < count);
    }
  }
  return { blocks: Uint32Array.from(records), present };
}

interface Options {
  readonly stretches?: readonly Stretch[];
  readonly largestNorm?: number;
  readonly factor?: number;
  readonly gradientScale?: number;
  readonly broken?: boolean;
}

function tensors(states: readonly string[], settings: readonly number[], options: Options): Record<string, CaseTensor> {
  const { stretches = STRETCHES, largestNorm = 0, factor = 1, gradientScale = 1, broken = false } = options;
  const { blocks, present } = table(stretches);
  const elements = present.length;
  const vector = (data: Float32Array): CaseTensor => ({ shape: [data.length], data });
  const gradient = normal(5, elements).map((value, i) => (present[i] === true ? gradientScale * value : 0));
  const squared = gradient.reduce((sum, value) => sum + value * value, 0);
  return {
    weights: vector(normal(1, WEIGHTS)),
    // Second moments are not negative; behind the last element of a stretch all is 0, as it begins.
    ...Object.fromEntries(
      states.map((name, state) => [
        name,
        vector(normal(2 + state, elements).map((value, i) => (present[i] === true ? value ** 2 : 0))),
      ]),
    ),
    gradient: vector(gradient),
    blocks: { shape: [elements / BLOCK, 4], data: blocks },
    groups: { shape: [GROUPS.length / 4, 4], data: GROUPS },
    norm: vector(Float32Array.of(broken ? Infinity : squared)),
    settings: vector(Float32Array.of(...settings, largestNorm, factor)),
  };
}

/** The cases of an optimiser with these states and settings; the last two settings are those of the cases. */
export function optimizerCases(stem: string, states: readonly string[], settings: readonly number[]): CaseTable {
  const one = (name: string, options: Options): OpCase => ({
    name,
    attributes: {},
    inputs: () => tensors(states, settings, options),
    // A dozen roundings of numbers of the order of the weights.
    tolerance: 1e-6,
  });
  return {
    stem,
    cases: [
      one("stretches of several groups", {}),
      one("nothing", { stretches: [] }),
      one("a norm that is brought down", { largestNorm: 1 }),
      one("a norm that is small enough", { largestNorm: 1000 }),
      one("a mean of four batches", { largestNorm: 1, factor: 0.25 }),
      one("large gradients", { gradientScale: 1e4, largestNorm: 1 }),
      one("small gradients", { gradientScale: 1e-6 }),
      one("a norm that is not finite changes nothing", { broken: true }),
    ],
  };
}
