/** @file Sound and pictures in a form small enough for a trace: envelopes of waveforms, bytes of images in base64. */

import { EngineError } from "../errors.ts";
import type { AudioTrace, ImageTrace } from "./trace-types.ts";

/** Stretches of an envelope: about five for each of the hundred frames of a second of speech. */
const STRETCHES = 490;

/** Three digits are finer than a drawing of a waveform. */
function short(sample: number): number {
  return Math.round(Math.min(1, Math.max(-1, sample)) * 1000) / 1000;
}

/**
 * Reduces a waveform to the lowest and highest sample of equally long stretches.
 * @param samples in −1 … 1, as the model heard them: after resampling, padding and cropping
 * @param options sampling rate in hertz; how many tokens divide the sound (the last ones of the sequence)
 * @throws EngineError BAD_INPUT without samples, rate or frames
 */
export function audioTrace(
  samples: Float32Array,
  options: { readonly sampleRate: number; readonly frames: number; readonly stretches?: number },
): AudioTrace {
  const { sampleRate, frames, stretches = STRETCHES } = options;
  if (samples.length === 0 || !(sampleRate > 0) || !(frames >= 1))
    throw new EngineError("BAD_INPUT", "a waveform needs samples, a sampling rate and frames", { where: "audio" });
  const parts = Math.min(stretches, samples.length);
  const envelope = Array.from({ length: parts }, (_, part): readonly [number, number] => {
    const [from, to] = [part, part + 1].map((edge) => Math.floor((edge * samples.length) / parts));
    let [low, high] = [Infinity, -Infinity];
    for (const sample of samples.subarray(from, to)) [low, high] = [Math.min(low, sample), Math.max(high, sample)];
    return [short(low), short(high)];
  });
  return { seconds: samples.length / sampleRate, envelope, frames };
}

/** Bytes per call of `String.fromCharCode`: engines limit the number of arguments. */
const CHUNK = 8192;

/** Bytes as base64. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let from = 0; from < bytes.length; from += CHUNK)
    text += String.fromCharCode(...bytes.subarray(from, from + CHUNK));
  return btoa(text);
}

/** Base64 as bytes; null where the text is none. */
export function fromBase64(text: string): Uint8Array | null {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return null;
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
}

/**
 * An image in the order in which models hold it, as a trace holds it.
 * @param image bytes, or floats in 0 … 1, as [channels, height, width] with 1 or 3 channels
 * @param patch side of a patch
 * @throws EngineError BAD_INPUT where sizes, channels and patch do not fit
 */
export function imageTrace(
  image: { readonly data: Uint8Array | Float32Array; readonly shape: readonly number[] },
  patch: number,
): ImageTrace {
  const { data, shape } = image;
  const [channels = 0, height = 0, width = 0] = shape;
  const scale = data instanceof Uint8Array ? 1 : 255;
  const bytes = new Uint8ClampedArray(channels * height * width);
  const plane = height * width;
  for (let pixel = 0; pixel < plane; pixel += 1) {
    for (let channel = 0; channel < channels; channel += 1)
      bytes[pixel * channels + channel] = scale * (data[channel * plane + pixel] ?? 0);
  }
  const made = { width, height, channels, pixels: toBase64(new Uint8Array(bytes.buffer)), patch };
  const problem =
    data.length === bytes.length && shape.length === 3 ? imageFaults(made, Infinity)[0]?.problem : "has other sizes";
  if (problem !== undefined)
    throw new EngineError("BAD_INPUT", `image [${shape.join(", ")}] with patches of ${patch} ${problem}`, {
      where: "image",
    });
  return made as ImageTrace;
}

/** What keeps a picture from being drawn, field by field. */
export function imageFaults(
  image: Omit<ImageTrace, "channels"> & { readonly channels: number },
  tokens: number,
): { readonly field: keyof ImageTrace; readonly problem: string }[] {
  const { width, height, channels, pixels, patch } = image;
  const faults: { field: keyof ImageTrace; problem: string }[] = [];
  if (channels !== 1 && channels !== 3) faults.push({ field: "channels", problem: `is ${channels}, expected 1 or 3` });
  if (width % patch !== 0 || height % patch !== 0)
    faults.push({ field: "patch", problem: `${patch} does not divide ${width} × ${height}` });
  else if (patchCount(image) > tokens)
    faults.push({ field: "patch", problem: `makes ${patchCount(image)} patches for ${tokens} tokens` });
  // The length of the text tells the bytes, so that nothing is decoded for a picture of another size.
  const bytes = (pixels.length / 4) * 3 - (pixels.endsWith("==") ? 2 : pixels.endsWith("=") ? 1 : 0);
  if (bytes !== width * height * channels)
    faults.push({ field: "pixels", problem: `has ${bytes} bytes for ${width} × ${height} × ${channels}` });
  else if (fromBase64(pixels) === null) faults.push({ field: "pixels", problem: "is not base64" });
  return faults;
}

/** Patches of an image. */
export function patchCount({ width, height, patch }: Pick<ImageTrace, "width" | "height" | "patch">): number {
  return (width / patch) * (height / patch);
}
