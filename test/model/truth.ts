/** @file How far two arrays are apart. */

/** Largest |a − b| relative to the largest |b|. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let scale = 1e-30;
  let worst = 0;
  for (let i = 0; i < expected.length; i += 1) {
    scale = Math.max(scale, Math.abs(expected[i] as number));
    worst = Math.max(worst, Math.abs((actual[i] as number) - (expected[i] as number)));
  }
  return actual.length === expected.length ? worst / scale : Infinity;
}
