/** @file Fresh adapter weights, seeded: the same seed gives the same numbers on every machine. */

import { gaussian, generator } from "../random.ts";
import type { Random } from "../random.ts";
import type { AdapterInit, BottleneckWeights } from "./bottleneck.ts";

function fill(count: number, draw: () => number): Float32Array {
  return Float32Array.from({ length: count }, draw);
}

/** Normal with standard deviation 0.01, cut at two standard deviations (MATHS §2.1, "houlsby"). */
function truncated(random: Random): number {
  for (;;) {
    const value = gaussian(random);
    if (Math.abs(value) <= 2) return 0.01 * value;
  }
}

/** Draws the weights of one layer's adapter: down [b, d], up [d, b], biases zero. */
export function initBottleneck(init: AdapterInit, seed: number, width: number, bottleneck: number): BottleneckWeights {
  const random = generator(seed);
  const biases = { downBias: new Float32Array(bottleneck), upBias: new Float32Array(width) };
  const count = width * bottleneck;
  if (init === "bert") {
    const draw = (): number => 0.02 * gaussian(random);
    return { ...biases, down: fill(count, draw), up: fill(count, draw) };
  }
  if (init === "houlsby")
    return { ...biases, down: fill(count, () => truncated(random)), up: fill(count, () => truncated(random)) };
  // Kaiming uniform with a = √5 draws from ±1/√fan_in; a zero up-projection makes the adapter start as nothing.
  const bound = 1 / Math.sqrt(width);
  return { ...biases, down: fill(count, () => bound * (2 * random() - 1)), up: new Float32Array(count) };
}
