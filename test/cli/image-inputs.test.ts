/** @file Images as the input of a run: IDX files and arrays, packed or not, and a published model over MNIST from the command line. */

import { writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { InputOptions } from "../../src/cli/run/options.ts";
import type { HostInput } from "../../src/hosts/host.ts";
import { dataPath, missing } from "../data.ts";
import { commandLine, useFolder } from "./fixture.ts";
import { expectRefused, inputsOf } from "./inputs-fixture.ts";

const folder = useFolder();
const host: HostInput = {
  kind: "image",
  channels: 1,
  height: 1,
  width: 2,
  patch: [1, 1],
  patches: 2,
  featureWidth: 1,
  classToken: false,
  mean: [0],
  std: [1],
};

function read(name: string, more: Partial<InputOptions> = {}, input = host): ReturnType<typeof inputsOf> {
  return inputsOf(folder.file(name), input, more);
}

async function images(name: string, more: Partial<InputOptions> = {}): Promise<unknown[]> {
  const { sequences } = await read(name, more);
  return sequences.map(({ data }) =>
    data.kind === "image" ? { data: data.image.data, shape: data.image.shape } : null,
  );
}

function npy(descr: string, shape: readonly number[], data: Uint8Array): Buffer {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const padded = `${text.padEnd(117)}\n`;
  const header = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length, 0]);
  return Buffer.concat([header, Buffer.from(padded), data]);
}

const IDX = Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4]);
const FLOATS = Float32Array.of(0, 0.25, 0.5, 1);

beforeAll(async () => {
  await writeFile(folder.file("two.idx"), IDX);
  await writeFile(folder.file("two-idx3-ubyte.gz"), gzipSync(IDX));
  await writeFile(folder.file("two"), IDX);
  await writeFile(folder.file("labels-idx1-ubyte"), Buffer.from([0, 0, 8, 1, 0, 0, 0, 1, 7]));
  await writeFile(folder.file("short.idx"), IDX.subarray(0, 19));
  await writeFile(folder.file("bytes.npy"), npy("|u1", [2, 1, 2], Buffer.from([1, 2, 3, 4])));
  await writeFile(folder.file("floats.npy"), npy("<f4", [1, 2, 1, 2], Buffer.from(FLOATS.buffer)));
  await writeFile(folder.file("flat.npy"), npy("|u1", [4], Buffer.from([1, 2, 3, 4])));
  await writeFile(folder.file("whole.npy"), npy("<i4", [1, 1, 1], Buffer.alloc(4)));
  await writeFile(folder.file("hollow.npy"), npy("|u1", [4000000000, 0, 2], Buffer.alloc(0)));
  await writeFile(folder.file("none.idx"), Buffer.from([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]));
  await writeFile(folder.file("words.txt"), "hello\n");
});

describe("what is read", () => {
  const two = [
    { data: Uint8Array.of(1, 2), shape: [1, 1, 2] },
    { data: Uint8Array.of(3, 4), shape: [1, 1, 2] },
  ];

  test.each([
    ["two.idx", {}],
    ["two-idx3-ubyte.gz", {}],
    ["two", { images: true }],
    ["bytes.npy", {}],
  ])("%s %j", async (name, more) => {
    // A file that was not packed comes as a Buffer, which is a Uint8Array of another class.
    const found = (await images(name, more)) as { data: Uint8Array; shape: readonly number[] }[];
    expect(found.map(({ data, shape }) => ({ data: Uint8Array.from(data), shape }))).toEqual(two);
  });

  test("floats with channels; a limit; the number of an image as its place", async () => {
    expect(await images("floats.npy")).toEqual([{ data: FLOATS, shape: [2, 1, 2] }]);
    expect(await images("two.idx", { limit: 1 })).toHaveLength(1);
    const { sequences, total } = await read("two.idx");
    expect(total).toBe(2);
    expect(sequences[1]?.place).toBe(`${folder.file("two.idx")}, image 1`);
  });
});

describe("what is refused", () => {
  const ids: HostInput = { kind: "ids", vocabulary: 10, types: 2 };

  test.each<[string, Partial<InputOptions>, HostInput, string, RegExp]>([
    ["short.idx", {}, host, "BAD_FILE", /takes 4 bytes; 3 follow/],
    ["labels-idx1-ubyte", { images: true }, host, "BAD_FILE", /has 1 axis/],
    ["words.txt", { images: true }, host, "BAD_FILE", /not an \.npy file|truncated/],
    ["flat.npy", {}, host, "BAD_FILE", /has shape \[4\], which is none of images/],
    ["hollow.npy", {}, host, "BAD_FILE", /none of images/],
    ["whole.npy", {}, host, "BAD_FILE", /elements of type I32/],
    ["none.idx", {}, host, "BAD_INPUT", /there is nothing in it/],
    ["two.idx", {}, ids, "BAD_INPUT", /the model reads texts or ids/],
    ["words.txt", {}, host, "BAD_INPUT", /the model reads images/],
    ["missing.idx", {}, host, "NOT_FOUND", /is not there/],
  ])("%s %j", async (name, more, input, code, message) => {
    await expectRefused(read(name, more, input), code, message);
  });

  test("--input beside --images", async () => {
    const { code, err } = await commandLine(["run", "--model", "x", "--input", "a.txt", "--images", "b.idx"]);
    expect(code).toBe(2);
    expect(err).toMatch(/--input and --images name two inputs/);
  });
});

describe.skipIf(missing("mnist-vit-tiny") || missing("mnist-t10k"))("published model", () => {
  const args = (): string[] =>
    ["run", "--model", dataPath("mnist-vit-tiny"), "--weights", "mnist_vit.pth"].concat(
      "--config",
      folder.file("vit.json"),
    );
  beforeAll(async () => {
    await writeFile(folder.file("vit.json"), '{"model_type":"vit"}');
  });

  test("labels digits and names the patches of each", async () => {
    const digits = dataPath("mnist-t10k/t10k-images-idx3-ubyte.gz");
    const more = ["--images", digits, "--limit", "5", "--outputs", "heads.default", "--json", "-", "--batch", "2"];
    const { code, out, err } = await commandLine([...args(), ...more]);
    expect(err).not.toMatch(/error/);
    expect(code).toBe(0);
    interface Sequence {
      readonly tokens: readonly string[];
      readonly place: string;
      readonly heads: { readonly default: { readonly logits: readonly number[] } };
    }
    const { sequences } = JSON.parse(out) as { sequences: Sequence[] };
    // The first five labels of the test set; this model is right on all of them.
    const answers = sequences.map(({ heads: { default: head } }) => head.logits.indexOf(Math.max(...head.logits)));
    expect(answers).toEqual([7, 2, 1, 0, 4]);
    expect(sequences[0]?.tokens).toEqual(Array.from({ length: 16 }, (_, patch) => `patch ${patch}`));
    expect(sequences[4]?.place).toMatch(/t10k-images-idx3-ubyte\.gz, image 4$/);
  });

  test("an image of another size is named by its place in the file", async () => {
    const { code, err } = await commandLine([...args(), "--images", folder.file("two.idx")]);
    expect(code).toBe(2);
    expect(err).toMatch(/two\.idx, image 0: .*has shape \[1, 1, 2\]; the model takes \[1, 28, 28\]/);
  });
});
