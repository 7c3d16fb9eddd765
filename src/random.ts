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
