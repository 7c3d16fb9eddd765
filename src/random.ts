/** @file Seeded numbers, the same on every machine. Known to all rooms. */

/** A source of uniform numbers in [0, 1). */
export type Random = () => number;

/** The mulberry32 generator. */
export function generator(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** One normally distributed number (Box–Muller). */
export function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Normally distributed f32 values with a standard deviation and a mean. */
export function normal(seed: number, count: number, deviation = 1, mean = 0): Float32Array {
  const random = generator(seed);
  return Float32Array.from({ length: count }, () => mean + deviation * gaussian(random));
}

/** Four words of a counter, or of what it gives. */
export type Counter = readonly [number, number, number, number];

const PHILOX_ROUNDS = 10;

/** The upper word of a 64-bit product, by halves: no partial sum passes 2⁵³. */
function multiplyHigh(a: number, b: number): number {
  const [low, high] = [a & 0xffff, a >>> 16];
  // (high · 2¹⁶ + low) · b: each of the two products is below 2⁴⁸.
  return Math.floor((high * b + Math.floor((low * b) / 2 ** 16)) / 2 ** 16);
}

/**
 * Philox 4×32-10, the counter-based generator of kernels/lib/philox.wgsl, bit for bit.
 * @param counter words below 2³²
 * @param key words below 2³²
 * @returns four words of random bits (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011)
 */
export function philox(counter: Counter, key: readonly [number, number]): Counter {
  let [a, b, c, d] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < PHILOX_ROUNDS; round += 1) {
    const [highA, highC] = [multiplyHigh(0xd2511f53, a), multiplyHigh(0xcd9e8d57, c)];
    const [lowA, lowC] = [Math.imul(0xd2511f53, a) >>> 0, Math.imul(0xcd9e8d57, c) >>> 0];
    [a, b, c, d] = [(highC ^ b ^ k0) >>> 0, lowC, (highA ^ d ^ k1) >>> 0, lowA];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [a, b, c, d];
}
