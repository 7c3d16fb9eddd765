/** @file Reader of IDX files of bytes, the format of MNIST: images, and labels, as views of the file. */

import { badFile } from "./bad-file.ts";

/** The code of unsigned bytes in the header's third byte. */
const BYTES = 0x08;

/** Images of one file. */
export interface IdxImages {
  /** [channels, height, width] of every image. */
  readonly shape: readonly [number, number, number];
  /** Bytes of every image, views of the file. */
  readonly images: readonly Uint8Array[];
}

/** What a file is read for: a name for errors, and the numbers of axes that it may have. */
interface Content {
  readonly name: string;
  readonly axes: readonly number[];
}

/** An unpacked file. */
interface Idx {
  readonly extents: readonly number[];
  /** What follows the header. */
  readonly data: Uint8Array;
}

/** @returns true where bytes begin as an IDX file does: two zeros, a type, and a number of axes. */
export function looksLikeIdx(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0 && bytes[1] === 0 && (bytes[2] as number) >= BYTES && bytes[3] !== 0;
}

/** Nothing is allocated for a header that the file's length does not bear out. */
function readIdx(bytes: Uint8Array, where: string, { name, axes: known }: Content): Idx {
  const none = `it is no IDX file of ${name}`;
  const fix = `Name the IDX file of ${name}, packed or not.`;
  if (!looksLikeIdx(bytes)) throw badFile(where, `${none}.`, fix);
  const [, , type, axes] = bytes as unknown as readonly [number, number, number, number];
  if (type !== BYTES)
    throw badFile(where, `${none}: its elements have type 0x${type.toString(16)}; bytes (0x08) are read.`, fix);
  if (!known.includes(axes)) {
    const found = `${axes} ${axes === 1 ? "axis" : "axes"}`;
    throw badFile(where, `${none}: it has ${found}; ${name} have ${known.join(" or ")}.`, fix);
  }
  const header = 4 + 4 * axes;
  if (bytes.length < header) throw badFile(where, `the header of ${header} bytes ends after ${bytes.length}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const extents = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const data = bytes.subarray(header);
  // Four extents below 2³² may exceed what a number holds exactly: the comparison must not be fooled by rounding.
  const expected = extents.reduce((product, extent) => product * BigInt(extent), 1n);
  if (expected !== BigInt(data.length))
    throw badFile(where, `[${extents.join(", ")}] takes ${expected} bytes; ${data.length} follow the header.`);
  return { extents, data };
}

/**
 * Reads images of shape [height, width], or [channels, height, width], from an unpacked file.
 * @throws EngineError `BAD_FILE` for another format, other elements or axes, and a length that the header does not give
 * @example
 * const { images, shape } = readIdxImages(gunzipSync(await readFile("t10k-images-idx3-ubyte.gz")));
 */
export function readIdxImages(bytes: Uint8Array, where = "the IDX file"): IdxImages {
  const { extents, data } = readIdx(bytes, where, { name: "images", axes: [3, 4] });
  const [count, ...rest] = extents as [number, ...number[]];
  const shape = (rest.length === 2 ? [1, ...rest] : rest) as [number, number, number];
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (size === 0) throw badFile(where, `[${extents.join(", ")}] are images without pixels.`);
  return { shape, images: Array.from({ length: count }, (_, i) => data.subarray(i * size, (i + 1) * size)) };
}

/**
 * Reads labels, one byte each, from an unpacked file.
 * @returns a view of the file
 * @throws EngineError `BAD_FILE` as {@link readIdxImages} does
 */
export function readIdxLabels(bytes: Uint8Array, where = "the IDX file"): Uint8Array {
  return readIdx(bytes, where, { name: "labels", axes: [1] }).data;
}
