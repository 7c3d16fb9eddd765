/**
 * @file Change of sampling rate by a windowed sinc (Kaiser window): zero phase, no aliasing. The ratio is reduced to
 * L/M, so output n lies at input place n·M/L and uses one of L sets of weights, which depend on n·M mod L alone.
 */

import { EngineError } from "../errors.ts";

/** Suppression of what would alias, and of images, in decibels; the pass band is flat to the same measure. */
const ATTENUATION = 100;
/** The pass band ends here and the stop band begins at 1, as fractions of the lower of the two Nyquist frequencies. */
const PASS_BAND = 0.9;
// Kaiser's formulas: the shape parameter, and the half width in periods of the lower rate for a transition of
// (1 − PASS_BAND)·π radians, 2·HALF_WIDTH = (A − 7.95) / (2.285 · transition).
const SHAPE = 0.1102 * (ATTENUATION - 8.7);
const HALF_WIDTH = Math.ceil((ATTENUATION - 7.95) / (2 * 2.285 * (1 - PASS_BAND) * Math.PI));

/** Modified Bessel function of the first kind and order 0, by its series; all terms are positive, so it is exact. */
function bessel(x: number): number {
  const quarter = (x * x) / 4;
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-17; k += 1) {
    term *= quarter / (k * k);
    sum += term;
  }
  return sum;
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

function checkRate(rate: number, name: string): void {
  if (Number.isInteger(rate) && rate > 0 && rate <= 2 ** 31) return;
  throw new EngineError("BAD_INPUT", `${name} is ${rate}, not a positive whole number of samples a second`, {
    where: name,
    fix: "Pass the rate that the recording was made with, such as 16000 or 44100.",
  });
}

/** The filter's weights for inputs at distance `i - fraction` from the output, i from `1 - reach` to `reach`. */
function phaseWeights(fraction: number, scale: number, reach: number): Float64Array {
  // The transition is centred between the end of the pass band and Nyquist.
  const cutoff = ((1 + PASS_BAND) / 2) * scale;
  const weights = new Float64Array(2 * reach);
  const peak = bessel(SHAPE);
  let sum = 0;
  for (let i = 0; i < weights.length; i += 1) {
    const distance = i + 1 - reach - fraction;
    const edge = (distance * scale) / HALF_WIDTH;
    if (Math.abs(edge) >= 1) continue;
    const angle = Math.PI * cutoff * distance;
    const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
    const weight = (sinc * bessel(SHAPE * Math.sqrt(1 - edge * edge))) / peak;
    weights[i] = weight;
    sum += weight;
  }
  // Each phase sums to exactly 1: a constant stays the same constant at every output, without ripple between phases.
  return weights.map((weight) => weight / sum);
}

/** Samples that `length` samples at `from` hertz become at `to` hertz: ceil(length · to / from). */
export function resampledLength(length: number, from: number, to: number): number {
  checkRate(from, "sampleRate");
  checkRate(to, "modelRate");
  const divisor = commonDivisor(from, to);
  return Math.ceil((length * (to / divisor)) / (from / divisor));
}

/**
 * Resamples a mono signal. Flat up to 0.9 of the lower Nyquist frequency, −100 dB from that frequency on; sample 0
 * stays at time 0; beyond its ends the signal counts as zero. Output length: {@link resampledLength}.
 * @param signal - Samples at `from` hertz; not changed.
 * @returns A new array at `to` hertz.
 * @throws EngineError `BAD_INPUT` for rates that are not positive whole numbers.
 * @example
 * const speech = resample(recording, 44100, 16000);
 */
export function resample(signal: Float32Array, from: number, to: number): Float32Array {
  const length = resampledLength(signal.length, from, to);
  if (from === to) return signal.slice();
  const divisor = commonDivisor(from, to);
  const up = to / divisor;
  const down = from / divisor;
  const scale = Math.min(1, up / down);
  const reach = Math.ceil(HALF_WIDTH / scale);
  const output = new Float32Array(length);
  // Phase by phase, so that each set of weights is made once and no table grows with L.
  for (let phase = 0; phase < Math.min(up, output.length); phase += 1) {
    const weights = phaseWeights(((phase * down) % up) / up, scale, reach);
    for (let n = phase; n < output.length; n += up) {
      const first = Math.floor((n * down) / up) + 1 - reach;
      const stop = Math.min(weights.length, signal.length - first);
      let sum = 0;
      for (let i = Math.max(0, -first); i < stop; i += 1) sum += (weights[i] ?? 0) * (signal[first + i] ?? 0);
      output[n] = sum;
    }
  }
  return output;
}
