/** @file Clips of any length and rate as the fixed number of samples that a model takes. */

import { EngineError } from "../errors.ts";
import { resample, resampledLength } from "./resample.ts";

/** What the clips are and what the model takes. */
export interface AudioOptions {
  /** Rate of the clips in hertz; default: the model's. */
  readonly sampleRate?: number | undefined;
  /** Rate of the model in hertz. */
  readonly modelRate: number;
  /** Samples per clip that the model takes. */
  readonly samples: number;
  /** Which part of a longer clip to keep; absent: a longer clip is an error. */
  readonly crop?: "start" | "center" | undefined;
}

// Full scale is 1 and honest overshoot stays below this; whole numbers of an integer recording lie far above.
const LOUDEST = 16;

function checkClip(clip: Float32Array, index: number): void {
  const where = `audio[${index}]`;
  if (clip.length === 0) {
    throw new EngineError("BAD_INPUT", "the clip is empty", {
      where,
      fix: "Leave it out; silence is a clip of zeros.",
    });
  }
  const bad = clip.findIndex((sample) => !(Math.abs(sample) <= LOUDEST));
  if (bad < 0) return;
  const value = clip[bad];
  throw new EngineError("BAD_INPUT", `sample ${bad} is ${value}; samples are numbers in [-1, 1]`, {
    where,
    fix: Number.isFinite(value) ? "Divide 16-bit samples by 32768." : "Remove NaN and infinities from the recording.",
  });
}

/** First sample of a clip that is kept. */
function cropStart(length: number, index: number, options: AudioOptions): number {
  const extra = length - options.samples;
  if (extra <= 0 || options.crop === "start") return 0;
  if (options.crop === "center") return Math.floor(extra / 2);
  throw new EngineError(
    "BAD_INPUT",
    `the clip has ${length} samples at ${options.modelRate} Hz, the model takes ${options.samples}`,
    {
      where: `audio[${index}]`,
      fix: 'Cut the clip into pieces, or pass crop: "start" or "center".',
    },
  );
}

/**
 * Resamples each clip to the model's rate, pads it with zeros at the end, or crops it where that is asked for.
 * @param clips - Mono samples in [−1, 1].
 * @returns `[clips, samples]`, row-major; empty for no clips.
 * @throws EngineError `BAD_INPUT` for an empty clip, samples that are not finite or far out of range, a bad rate, or a
 * clip that is too long without `crop`.
 * @example
 * const batch = prepareAudio([clip], { sampleRate: 44100, modelRate: 16000, samples: 16000 });
 */
export function prepareAudio(clips: readonly Float32Array[], options: AudioOptions): Float32Array {
  if (options.crop !== undefined && options.crop !== "start" && options.crop !== "center") {
    throw new EngineError("BAD_INPUT", `crop is ${JSON.stringify(options.crop)}`, {
      where: "crop",
      fix: 'Pass "start", "center" or nothing.',
    });
  }
  clips.forEach(checkClip);
  const rate = options.sampleRate ?? options.modelRate;
  // All lengths are refused or accepted before any clip is resampled.
  const starts = clips.map((clip, index) =>
    cropStart(resampledLength(clip.length, rate, options.modelRate), index, options),
  );
  const batch = new Float32Array(clips.length * options.samples);
  clips.forEach((clip, index) => {
    const heard = resample(clip, rate, options.modelRate);
    const start = starts[index] ?? 0;
    batch.set(heard.subarray(start, start + options.samples), index * options.samples);
  });
  return batch;
}
