/** @file Medians and spreads of repeated measurements. */

/** @returns the value below which a share `q` of the samples lies, interpolated. NaN without samples. */
export function quantile(samples: readonly number[], q: number): number {
  if (samples.length === 0) return NaN;
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

/** @returns the middle of the samples. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/**
 * How much longer `a` takes than `b`: the median over rounds of the ratio within a round, so that a slow minute of the
 * machine falls on both.
 */
export function pairedRatio(a: readonly number[], b: readonly number[]): number {
  return median(a.slice(0, b.length).map((value, round) => value / (b[round] as number)));
}
