/** @file Reader of WAV files: linear PCM of 16, 24 or 32 bits and 32-bit floats, to mono samples in [−1, 1]. */

import { EngineError } from "../errors.ts";

/** A recording. */
export interface WavAudio {
  /** Samples a second. */
  readonly sampleRate: number;
  /** Channels in the file. */
  readonly channels: number;
  /** One sample per time step: the mean of the channels. */
  readonly samples: Float32Array;
}

interface Format {
  readonly code: number;
  readonly channels: number;
  readonly sampleRate: number;
  readonly frameBytes: number;
  readonly bits: number;
}

const PCM = 1;
const FLOAT = 3;
/** The real code stands in the first two bytes of the sub-format GUID. */
const EXTENSIBLE = 0xfffe;

function refuse(message: string, where: string, fix = "Record or convert the file again."): never {
  throw new EngineError("BAD_FILE", message, { where, fix });
}

function tag(view: DataView, at: number): string {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}

function readFormat(view: DataView, at: number, size: number, where: string): Format {
  if (size < 16) refuse(`the format chunk has ${size} bytes, at least 16 are needed`, where);
  let code = view.getUint16(at, true);
  if (code === EXTENSIBLE) {
    if (size < 40) refuse(`the extensible format chunk has ${size} bytes, 40 are needed`, where);
    code = view.getUint16(at + 24, true);
  }
  const format: Format = {
    code,
    channels: view.getUint16(at + 2, true),
    sampleRate: view.getUint32(at + 4, true),
    frameBytes: view.getUint16(at + 12, true),
    bits: view.getUint16(at + 14, true),
  };
  const known = (code === PCM && [16, 24, 32].includes(format.bits)) || (code === FLOAT && format.bits === 32);
  if (!known) {
    refuse(`format ${code} with ${format.bits} bits is not read here`, where, "Convert it to 16-bit PCM.");
  }
  if (format.channels === 0 || format.sampleRate === 0) {
    refuse(`the header names ${format.channels} channels at ${format.sampleRate} Hz`, where);
  }
  const expected = (format.channels * format.bits) / 8;
  if (format.frameBytes !== expected) {
    refuse(
      `${format.channels} channels of ${format.bits} bits make ${expected} bytes, not ${format.frameBytes}`,
      where,
    );
  }
  return format;
}

/** The value of one sample; integers are divided by 2^(bits − 1). */
function sampleReader(view: DataView, format: Format): (at: number) => number {
  if (format.code === FLOAT) return (at) => view.getFloat32(at, true);
  if (format.bits === 16) return (at) => view.getInt16(at, true) / 2 ** 15;
  if (format.bits === 24) return (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 2 ** 16) / 2 ** 23;
  return (at) => view.getInt32(at, true) / 2 ** 31;
}

function readSamples(view: DataView, start: number, size: number, format: Format, where: string): Float32Array {
  if (size % format.frameBytes !== 0) {
    refuse(`the data chunk of ${size} bytes is not a whole number of frames of ${format.frameBytes} bytes`, where);
  }
  const read = sampleReader(view, format);
  const bytes = format.bits / 8;
  const samples = new Float32Array(size / format.frameBytes);
  for (let i = 0; i < samples.length; i += 1) {
    let sum = 0;
    for (let channel = 0; channel < format.channels; channel += 1) {
      sum += read(start + i * format.frameBytes + channel * bytes);
    }
    const mean = sum / format.channels;
    if (!Number.isFinite(mean)) refuse(`sample ${i} is ${mean}`, where);
    samples[i] = mean;
  }
  return samples;
}

/** Chunks of the file by tag, the first of each; every size is checked against the bytes that are there. */
function readChunks(view: DataView, where: string): Map<string, { start: number; size: number }> {
  if (view.byteLength < 12 || tag(view, 0) !== "RIFF" || tag(view, 8) !== "WAVE") {
    refuse("the file does not begin like a WAV file (RIFF … WAVE)", where);
  }
  const chunks = new Map<string, { start: number; size: number }>();
  for (let at = 12; at + 8 <= view.byteLength;) {
    const name = tag(view, at);
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    const left = view.byteLength - start;
    if (size > left) {
      refuse(`chunk ${JSON.stringify(name)} claims ${size} bytes, ${left} are left`, where);
    }
    if (!chunks.has(name)) chunks.set(name, { start, size });
    if (name === "data") break;
    at = start + size + (size % 2);
  }
  return chunks;
}

/**
 * Reads a WAV file. Several channels are averaged into one. Chunks other than `fmt ` and `data` are skipped, and so is
 * everything behind `data`.
 * @throws EngineError `BAD_FILE` for a truncated or contradictory file, another encoding, or samples that are not finite.
 * @example
 * const { samples, sampleRate } = readWav(new Uint8Array(await file.arrayBuffer()));
 */
export function readWav(bytes: Uint8Array, where = "the WAV file"): WavAudio {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks = readChunks(view, where);
  const header = chunks.get("fmt ") ?? refuse("there is no format chunk before the data", where);
  const data = chunks.get("data") ?? refuse("there is no data chunk", where);
  const format = readFormat(view, header.start, header.size, where);
  const samples = readSamples(view, data.start, data.size, format, where);
  return { sampleRate: format.sampleRate, channels: format.channels, samples };
}
