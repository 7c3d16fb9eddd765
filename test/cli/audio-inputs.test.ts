/** @file Audio files as the input of a run: WAV files, folders of them, and raw samples cut by a table. */

import { mkdir, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { InputOptions } from "../../src/cli/run/options.ts";
import type { HostInput } from "../../src/hosts/host.ts";
import { useFolder } from "./fixture.ts";
import { expectRefused, inputsOf } from "./inputs-fixture.ts";

const folder = useFolder();
const host: HostInput = { kind: "audio", sampleRate: 16000, samples: 4, frames: 2, featureWidth: 3 };
const samples = Int16Array.from([0, 16384, -32768, 32767, 1, 2, 3, 4]);

function wav(values: Int16Array, sampleRate: number): Buffer {
  const file = Buffer.alloc(44 + 2 * values.length);
  file.write("RIFF", 0);
  file.writeUInt32LE(36 + 2 * values.length, 4);
  file.write("WAVEfmt ", 8);
  file.writeUInt32LE(16, 16);
  [1, 1].forEach((word, index) => file.writeUInt16LE(word, 20 + 2 * index));
  file.writeUInt32LE(sampleRate, 24);
  file.writeUInt32LE(2 * sampleRate, 28);
  [2, 16].forEach((word, index) => file.writeUInt16LE(word, 32 + 2 * index));
  file.write("data", 36);
  file.writeUInt32LE(2 * values.length, 40);
  values.forEach((value, index) => file.writeInt16LE(value, 44 + 2 * index));
  return file;
}

function read(name: string, more: Partial<InputOptions> = {}, input = host): ReturnType<typeof inputsOf> {
  return inputsOf(folder.file(name), input, more);
}

async function clips(
  name: string,
  more: Partial<InputOptions> = {},
): Promise<{ values: number[]; sampleRate: number }[]> {
  const { sequences } = await read(name, more);
  return sequences.map(({ data }) =>
    data.kind === "audio"
      ? { values: [...data.samples].map((value) => value * 32768), sampleRate: data.sampleRate }
      : { values: [], sampleRate: 0 },
  );
}

beforeAll(async () => {
  await mkdir(folder.file("wavs"));
  await writeFile(folder.file("wavs/b.wav"), wav(samples.subarray(4), 8000));
  await writeFile(folder.file("wavs/a.WAV"), wav(samples.subarray(0, 4), 16000));
  await writeFile(folder.file("wavs/notes.txt"), "not audio");
  await writeFile(folder.file("raw.i16"), samples);
  await writeFile(folder.file("raw.i16.gz"), gzipSync(samples));
  await writeFile(folder.file("odd.i16"), Buffer.alloc(7));
  await writeFile(folder.file("uneven.i16"), Buffer.alloc(10));
  await writeFile(folder.file("ranges.tsv"), "offset_samples\tsamples\tlabel\n2\t3\ta\n0\t1\tb\n");
  await writeFile(folder.file("beyond.tsv"), "offset_samples\tsamples\n0\t1\n6\t3\n");
  await writeFile(folder.file("equal.tsv"), "file\tlabel\nx\ta\ny\tb\n");
  await writeFile(folder.file("words.txt"), "hello\n");
});

describe("what is read", () => {
  test("a folder of WAV files in the order of their names, each at its own rate", async () => {
    const found = await clips("wavs");
    expect(found).toEqual([
      { values: [0, 16384, -32768, 32767], sampleRate: 16000 },
      { values: [1, 2, 3, 4], sampleRate: 8000 },
    ]);
  });

  test("raw samples, packed or not, in clips of the model's length", async () => {
    const whole = [
      { values: [0, 16384, -32768, 32767], sampleRate: 16000 },
      { values: [1, 2, 3, 4], sampleRate: 16000 },
    ];
    expect(await clips("raw.i16")).toEqual(whole);
    expect(await clips("raw.i16.gz", { clips: folder.file("equal.tsv") })).toEqual(whole);
    expect(await clips("raw.i16", { limit: 1 })).toEqual(whole.slice(0, 1));
  });

  test("raw samples cut by a table with offsets", async () => {
    const found = await clips("raw.i16", { clips: folder.file("ranges.tsv"), sampleRate: 8000 });
    expect(found).toEqual([
      { values: [-32768, 32767, 1], sampleRate: 8000 },
      { values: [0], sampleRate: 8000 },
    ]);
  });
});

describe("what is refused", () => {
  const ids: HostInput = { kind: "ids", vocabulary: 10, types: 2 };

  test.each([
    ["odd.i16", {}, host, "BAD_FILE", /odd number of bytes/],
    ["uneven.i16", {}, host, "BAD_FILE", /no multiple of the model's 4/],
    ["raw.i16", { clips: "beyond.tsv" }, host, "BAD_FILE", /beyond.tsv:3 names samples 6 to 9 of 8/],
    ["raw.i16", {}, ids, "BAD_INPUT", /the model reads texts or ids/],
    ["wavs", {}, ids, "BAD_INPUT", /the model reads texts or ids/],
    ["words.txt", {}, host, "BAD_INPUT", /the model reads audio/],
    ["wavs/notes.mp3", {}, host, "NOT_FOUND", /is not there/],
  ])("%s", async (name, { clips: table }: { clips?: string }, input, code, message) => {
    const more = table === undefined ? {} : { clips: folder.file(table) };
    await expectRefused(read(name, more, input), code, message);
  });
});
