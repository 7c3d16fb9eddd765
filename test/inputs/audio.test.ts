/** @file Resampling against analytic signals, the WAV reader against bytes written here, and the shaping of clips. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { prepareAudio } from "../../src/inputs/audio.ts";
import { resample, resampledLength } from "../../src/inputs/resample.ts";
import { readWav } from "../../src/inputs/wav.ts";

function tone(rate: number, hertz: number, samples: number): Float32Array {
  return Float32Array.from({ length: samples }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate + 0.3));
}

/** Largest difference away from the ends, where the filter would reach beyond the signal. */
function interiorError(actual: Float32Array, expected: Float32Array, margin: number): number {
  let worst = 0;
  for (let i = margin; i < expected.length - margin; i += 1) {
    worst = Math.max(worst, Math.abs((actual[i] ?? Number.NaN) - (expected[i] ?? Number.NaN)));
  }
  return worst;
}

// The design's ripple is −100 dB = 1e-5 on each side of the pass band, and dividing each phase by its sum can double
// it; f32 rounding of input and output adds 1.2e-7.
const RIPPLE = 2.2e-5;

describe("resample", () => {
  const ratios = [
    [8000, 16000],
    [16000, 8000],
    [44100, 16000],
    [16000, 44100],
    [48000, 16000],
    [7919, 16000],
    [16000, 7919],
    [22050, 11025],
  ] as const;

  it.each(ratios)("leaves tones of the pass band alone and in phase: %i to %i", (from, to) => {
    const lower = Math.min(from, to) / 2;
    for (const share of [0.013, 0.31, 0.62, 0.899]) {
      const input = tone(from, share * lower, Math.ceil(from / 4));
      const output = resample(input, from, to);
      const margin = Math.ceil((70 * to) / Math.min(from, to));
      expect(output.length).toBe(Math.ceil((input.length * to) / from));
      expect(output.length).toBeGreaterThan(3 * margin);
      expect(interiorError(output, tone(to, share * lower, output.length), margin)).toBeLessThan(RIPPLE);
    }
  });

  it.each([
    [16000, 8000],
    [44100, 16000],
    [16000, 7919],
  ] as const)("removes what would alias: %i to %i", (from, to) => {
    for (const share of [1.001, 1.2, 1.7]) {
      const output = resample(tone(from, (share * to) / 2, Math.ceil(from / 4)), from, to);
      expect(interiorError(output, new Float32Array(output.length), 70)).toBeLessThan(RIPPLE);
    }
  });

  it("keeps a constant to f32 rounding at every phase", () => {
    const output = resample(new Float32Array(6000).fill(0.7), 16000, 11025);
    const expected = new Float32Array(output.length).fill(0.7);
    expect(interiorError(output, expected, 80)).toBeLessThanOrEqual(2 ** -23);
  });

  it("has zero phase: the response to an impulse is symmetric about its time", () => {
    const impulse = new Float32Array(401);
    impulse[200] = 1;
    const output = resample(impulse, 16000, 48000);
    expect(output.indexOf(Math.max(...output))).toBe(600);
    for (let i = 1; i < 190; i += 1) expect(output[600 + i]).toBeCloseTo(output[600 - i] ?? Number.NaN, 7);
  });

  it("copies at equal rates, and takes signals of 0 and 1 samples", () => {
    const input = tone(8000, 100, 9);
    const same = resample(input, 8000, 8000);
    expect(same).toEqual(input);
    expect(same.buffer).not.toBe(input.buffer);
    expect(resample(new Float32Array(0), 8000, 16000).length).toBe(0);
    expect(resample(Float32Array.of(1), 8000, 16000).length).toBe(2);
    expect(resample(Float32Array.of(1), 16000, 8000).length).toBe(1);
    expect(resampledLength(44100, 44100, 16000)).toBe(16000);
  });

  it("refuses rates that are no rates", () => {
    for (const rate of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => resample(new Float32Array(4), rate, 8000)).toThrow(EngineError);
      expect(() => resample(new Float32Array(4), 8000, rate)).toThrow(/modelRate/);
    }
  });
});

describe("prepareAudio", () => {
  const options = { modelRate: 8000, samples: 4 };

  it("pads at the end and packs the clips", () => {
    const batch = prepareAudio([Float32Array.of(0.5, 0.25), Float32Array.of(1, 2, 3, 4)], options);
    expect(Array.from(batch)).toEqual([0.5, 0.25, 0, 0, 1, 2, 3, 4]);
    expect(prepareAudio([], options).length).toBe(0);
  });

  it("refuses longer clips unless told which part to keep", () => {
    const clip = Float32Array.of(1, 2, 3, 4, 5, 6, 7);
    expect(() => prepareAudio([new Float32Array(4), clip], options)).toThrow(/7 samples/);
    expect(Array.from(prepareAudio([clip], { ...options, crop: "start" }))).toEqual([1, 2, 3, 4]);
    expect(Array.from(prepareAudio([clip], { ...options, crop: "center" }))).toEqual([2, 3, 4, 5]);
    expect(() => prepareAudio([clip], { ...options, crop: "end" as "start" })).toThrow(/crop/);
  });

  it("measures length at the model's rate", () => {
    const clip = tone(16000, 200, 8);
    expect(prepareAudio([clip], { ...options, sampleRate: 16000 })).toEqual(resample(clip, 16000, 8000));
    // Refused before a gigabyte is made of it.
    expect(() => prepareAudio([new Float32Array(2 ** 20)], { ...options, sampleRate: 1 })).toThrow(
      /8388608000 samples/,
    );
  });

  it("refuses empty clips, NaN, infinities and integers that were not divided", () => {
    const cases: [Float32Array, RegExp][] = [
      [new Float32Array(0), /empty/],
      [Float32Array.of(0, Number.NaN), /sample 1 is NaN/],
      [Float32Array.of(Number.NEGATIVE_INFINITY), /-Infinity/],
      [Float32Array.of(0, 12000), /12000/],
    ];
    for (const [clip, message] of cases) {
      expect(() => prepareAudio([clip], options)).toThrow(message);
      expect(() => prepareAudio([clip], options)).toThrow(
        expect.objectContaining({ code: "BAD_INPUT", where: "audio[0]" }),
      );
    }
  });
});

interface WavSpec {
  readonly code?: number;
  readonly channels?: number;
  readonly rate?: number;
  readonly bits?: number;
  readonly frameBytes?: number;
  readonly data: Uint8Array;
  readonly dataSize?: number;
  readonly extra?: readonly number[];
}

/** Writes a WAV file; fields that are given contradict the rest where a test wants that. */
function wav(spec: WavSpec): Uint8Array {
  const { code = 1, channels = 1, rate = 8000, bits = 16, data, extra = [] } = spec;
  const head = code === 0xfffe ? 40 : 16;
  const bytes = new Uint8Array(12 + 8 + head + extra.length + 8 + data.length);
  const view = new DataView(bytes.buffer);
  const write = (text: string, at: number): void =>
    [...text].forEach((sign, i) => (bytes[at + i] = sign.charCodeAt(0)));
  write("RIFF", 0);
  view.setUint32(4, bytes.length - 8, true);
  write("WAVEfmt ", 8);
  view.setUint32(16, head, true);
  view.setUint16(20, code, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint16(32, spec.frameBytes ?? (channels * bits) / 8, true);
  view.setUint16(34, bits, true);
  if (head === 40) view.setUint16(44, 3, true);
  bytes.set(extra, 20 + head);
  const at = 20 + head + extra.length;
  write("data", at);
  view.setUint32(at + 4, spec.dataSize ?? data.length, true);
  bytes.set(data, at + 8);
  return bytes;
}

const int16 = new Uint8Array(Int16Array.of(0, 16384, -32768, 32767).buffer);

describe("readWav", () => {
  it("reads 16, 24 and 32 bits and floats", () => {
    expect(Array.from(readWav(wav({ data: int16 })).samples)).toEqual([0, 0.5, -1, 32767 / 32768]);
    const int24 = Uint8Array.of(0, 0, 0x40, 0, 0, 0x80, 0xff, 0xff, 0xff);
    expect(Array.from(readWav(wav({ bits: 24, data: int24 })).samples)).toEqual([0.5, -1, Math.fround(-1 / 2 ** 23)]);
    const int32 = new Uint8Array(Int32Array.of(2 ** 30, -(2 ** 31)).buffer);
    expect(Array.from(readWav(wav({ bits: 32, data: int32 })).samples)).toEqual([0.5, -1]);
    const float = new Uint8Array(Float32Array.of(0.1, -1.5).buffer);
    for (const code of [3, 0xfffe]) {
      expect(readWav(wav({ code, bits: 32, data: float })).samples).toEqual(Float32Array.of(0.1, -1.5));
    }
  });

  it("averages channels, skips other chunks with their padding byte, and takes any byte offset", () => {
    const stereo = wav({ channels: 2, rate: 44100, data: int16 });
    const padded = new Uint8Array(stereo.length + 3);
    padded.set(stereo, 3);
    const expected = { sampleRate: 44100, channels: 2, samples: Float32Array.of(0.25, -1 / 65536) };
    expect(readWav(padded.subarray(3))).toEqual(expected);
    const extra = [...[..."LIST"].map((sign) => sign.charCodeAt(0)), 3, 0, 0, 0, 1, 2, 3, 0];
    expect(readWav(wav({ channels: 2, rate: 44100, data: int16, extra }))).toEqual(expected);
    expect(readWav(wav({ data: new Uint8Array(0) })).samples.length).toBe(0);
  });

  it("refuses what is truncated, contradictory, unknown or not finite", () => {
    const good = wav({ data: int16 });
    const bad: [Uint8Array, RegExp][] = [
      [new Uint8Array(0), /RIFF/],
      [good.subarray(0, 11), /RIFF/],
      [good.subarray(0, 40), /no data chunk/],
      [good.subarray(0, 46), /claims 8 bytes, 2 are left/],
      [wav({ data: int16, dataSize: 0xffffffff }), /claims 4294967295 bytes/],
      [wav({ data: int16.subarray(0, 7) }), /whole number of frames/],
      [wav({ data: int16, channels: 0 }), /0 channels/],
      [wav({ data: int16, rate: 0 }), /0 Hz/],
      [wav({ data: int16, frameBytes: 4 }), /not 4/],
      [wav({ data: int16, bits: 8 }), /8 bits/],
      [wav({ data: int16, code: 85 }), /format 85/],
      [wav({ code: 3, bits: 32, data: new Uint8Array(Float32Array.of(0, Number.NaN).buffer) }), /sample 1 is NaN/],
    ];
    for (const [bytes, message] of bad) {
      expect(() => readWav(bytes, "clip.wav")).toThrow(message);
      expect(() => readWav(bytes, "clip.wav")).toThrow(
        expect.objectContaining({ code: "BAD_FILE", where: "clip.wav" }),
      );
    }
  });

  it("answers every damaged file with samples or one EngineError", () => {
    const good = wav({ data: int16, extra: [0x4c, 0x49, 0x53, 0x54, 2, 0, 0, 0, 1, 2] });
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(damage, fc.nat(good.length), (changes, length) => {
        const bytes = good.slice();
        for (const [at, value] of changes) bytes[at] = value;
        try {
          expect(readWav(bytes.subarray(0, length)).samples.every(Number.isFinite)).toBe(true);
        } catch (error) {
          if (!(error instanceof EngineError)) throw error;
        }
      }),
      { numRuns: 4000 },
    );
  });
});
