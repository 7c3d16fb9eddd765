/** @file IDX files of images and of labels: whole, cut short, and forged. */

import { describe, expect, test } from "vitest";
import { looksLikeIdx, readIdxImages, readIdxLabels } from "../../src/formats/idx.ts";
import { expectError } from "./expect-error.ts";

/** An IDX file of a type and extents. */
function idx(type: number, extents: readonly number[], data: readonly number[]): Uint8Array {
  const header = extents.flatMap((extent) => [24, 16, 8, 0].map((shift) => Math.floor(extent / 2 ** shift) % 256));
  return Uint8Array.from([0, 0, type, extents.length, ...header, ...data]);
}

describe("IDX files of images", () => {
  test("hold images with one channel, or with several", () => {
    const grey = readIdxImages(idx(8, [2, 1, 3], [1, 2, 3, 4, 5, 6]));
    expect(grey.shape).toEqual([1, 1, 3]);
    expect(grey.images.map((image) => [...image])).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const colour = readIdxImages(idx(8, [1, 3, 1, 2], [1, 2, 3, 4, 5, 6]));
    expect(colour.shape).toEqual([3, 1, 2]);
    expect(colour.images).toHaveLength(1);
    expect(readIdxImages(idx(8, [0, 28, 28], [])).images).toEqual([]);
  });

  test("a view that starts inside its buffer", () => {
    const padded = Uint8Array.from([7, 7, 7, ...idx(8, [1, 1, 2], [8, 9])]);
    expect([...(readIdxImages(padded.subarray(3)).images[0] as Uint8Array)]).toEqual([8, 9]);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /no IDX file/],
    ["another format", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 0), /no IDX file/],
    ["labels", idx(8, [3], [1, 2, 3]), /has 1 axis/],
    ["five axes", idx(8, [1, 1, 1, 1, 1], [1]), /has 5 axes/],
    ["floats", idx(0x0d, [1, 1, 1], [0, 0, 0, 0]), /type 0xd/],
    ["half a header", idx(8, [1, 1, 1], [1]).subarray(0, 12), /header of 16 bytes ends after 12/],
    ["too few bytes", idx(8, [2, 2, 2], [1, 2, 3, 4, 5, 6, 7]), /\[2, 2, 2\] takes 8 bytes; 7 follow/],
    ["too many bytes", idx(8, [1, 1, 1], [1, 2]), /takes 1 bytes; 2 follow/],
    ["a forged count", idx(8, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], [1]), /takes \d{39} bytes/],
    ["four thousand million images without pixels", idx(8, [2 ** 32 - 1, 0, 28], []), /images without pixels/],
  ])("%s is refused", (_, bytes, message) => {
    expect(expectError(() => readIdxImages(bytes, "digits"), "BAD_FILE", message).where).toBe("digits");
  });

  test("are told from .npy and gzip files by their first bytes", () => {
    expect(looksLikeIdx(idx(8, [1, 1, 1], [1]))).toBe(true);
    expect(looksLikeIdx(Uint8Array.of(0x93, 0x4e, 0x55, 0x4d))).toBe(false);
    expect(looksLikeIdx(Uint8Array.of(0x1f, 0x8b, 8, 0))).toBe(false);
  });
});

describe("IDX files of labels", () => {
  test("are the bytes behind the header", () => {
    expect([...readIdxLabels(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 7, 9))]).toEqual([7, 9]);
    expect([...readIdxLabels(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 0))]).toEqual([]);
  });

  test.each([
    [[], /no IDX file of labels/],
    [[0, 0, 8, 3, 0, 0, 0, 0], /no IDX file of labels: it has 3 axes/],
    [[0, 0, 9, 1, 0, 0, 0, 0], /no IDX file of labels: its elements have type 0x9/],
    [[0, 0, 8, 1, 0, 0, 0], /header of 8 bytes ends after 7/],
    [[0, 0, 8, 1, 255, 255, 255, 255, 1], /\[4294967295\] takes 4294967295 bytes; 1 follow/],
    [[0, 0, 8, 1, 0, 0, 0, 1], /\[1\] takes 1 bytes; 0 follow/],
  ])("%j are refused", (bytes, message) => {
    expect(expectError(() => readIdxLabels(Uint8Array.from(bytes), "x"), "BAD_FILE", message).where).toBe("x");
  });
});
