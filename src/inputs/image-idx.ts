/** @file Reader of IDX files of bytes, the format of MNIST: images as views of the file. */

import { EngineError } from "../errors.ts";

/** Images of one file. */
export interface IdxImages {
  /** [channels, height, width] of every image. */
  readonly shape: readonly [number, number, number];
  /** Bytes of every image, views of the file. */
  readonly images: readonly Uint8Array[];
}

/** The code of unsigned bytes in the header's third byte. */
const BYTES = 0x08;

function refuse(where: string, message: string, fix = "Fetch the file again."): never {
  throw new EngineError("BAD_FILE", `${where}: ${message}`, { where, fix });
}

/** @returns true where bytes begin as an IDX file does: two zeros, a type, and a number of axes. */
export function looksLikeIdx(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0 && bytes[1] === 0 && (bytes[2] as number) >= BYTES && bytes[3] !== 0;
}

/**
 * Reads images of shape [height, width], or [channels, height, width], from an unpacked IDX file. Nothing is allocated for a header
 * that the file's length does not bear out.
 * @throws EngineError `BAD_FILE` for another format, other elements or axes, and a length that the header does not give
 * @example
 * const { images, shape } = readIdxImages(gunzipSync(await readFile("t10k-images-idx3-ubyte.gz")));
 */
export function readIdxImages(bytes: Uint8Array, where = "the IDX file"): IdxImages {
  if (!looksLikeIdx(bytes)) refuse(where, "this is no IDX file.", "Name an IDX file of images, packed or not.");
  const [, , type, axes] = bytes as unknown as readonly [number, number, number, number];
  if (type !== BYTES) refuse(where, `its elements have type 0x${type.toString(16)}; bytes (0x08) are read.`);
  if (axes !== 3 && axes !== 4) {
    const fix = "Name the file of images; that of labels has one axis.";
    refuse(where, `it has ${axes} ${axes === 1 ? "axis" : "axes"}; images have 3, or 4 with channels.`, fix);
  }
  const header = 4 + 4 * axes;
  if (bytes.length < header) refuse(where, `the header of ${header} bytes ends after ${bytes.length}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const extents = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const [count, ...rest] = extents as [number, ...number[]];
  const [channels, height, width] = (axes === 3 ? [1, ...rest] : rest) as [number, number, number];
  // Four extents below 2³² may exceed what a number holds exactly: the comparison must not be fooled by rounding.
  const expected = extents.reduce((product, extent) => product * BigInt(extent), 1n);
  if (expected !== BigInt(bytes.length - header)) {
    refuse(where, `[${extents.join(", ")}] takes ${expected} bytes; ${bytes.length - header} follow the header.`);
  }
  const size = channels * height * width;
  if (size === 0) refuse(where, `[${extents.join(", ")}] are images without pixels.`);
  const images = Array.from({ length: count }, (_, index) =>
    bytes.subarray(header + index * size, header + (index + 1) * size),
  );
  return { shape: [channels, height, width], images };
}
