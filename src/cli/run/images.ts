/** @file Files of images as sequences: IDX files, MNIST's format, and arrays of NumPy. */

import { EngineError } from "../../errors.ts";
import { looksLikeIdx, readIdxImages } from "../../formats/idx.ts";
import { readNpy } from "../../formats/npy.ts";
import { toFloat32 } from "../../formats/tensor.ts";
import type { Image } from "../../inputs/image.ts";
import { readBytes } from "../files.ts";
import type { Sequence } from "./inputs.ts";

/** @returns true for the endings of image files; MNIST's names end in the axes and the type. */
export function namesImages(name: string): boolean {
  return /(\.idx|\.npy|[-.]idx[34]-ubyte)$/.test(name);
}

/** Images of an array [n, height, width] or [n, channels, height, width], of bytes or floats. */
function readArray(bytes: Uint8Array, path: string): Image[] {
  const tensor = readNpy(bytes, path);
  const [count = 0, ...rest] = tensor.shape;
  const shape = rest.length === 2 ? [1, ...rest] : rest;
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (shape.length !== 3 || size === 0) {
    const message = `${path} has shape [${tensor.shape.join(", ")}], which is none of images`;
    const fix = "save [n, height, width] or [n, channels, height, width]";
    throw new EngineError("BAD_FILE", message, { where: path, fix });
  }
  if (tensor.dtype !== "U8" && !/^B?F\d+$/.test(tensor.dtype)) {
    const fix = "save bytes, or floats that are pixels divided by 255";
    throw new EngineError("BAD_FILE", `${path} holds elements of type ${tensor.dtype}`, { where: path, fix });
  }
  const data = tensor.dtype === "U8" ? tensor.bytes : toFloat32(tensor);
  return Array.from({ length: count }, (_, index) => ({
    data: data.subarray(index * size, (index + 1) * size),
    shape,
  }));
}

/**
 * Reads a file of images: what it is says its first bytes.
 * @throws EngineError NOT_FOUND, BAD_FILE, UNSUPPORTED for arrays in another order
 */
export async function readImages(path: string): Promise<Sequence[]> {
  const bytes = await readBytes(path);
  const idx = looksLikeIdx(bytes) ? readIdxImages(bytes, path) : null;
  const images = idx === null ? readArray(bytes, path) : idx.images.map((data) => ({ data, shape: idx.shape }));
  return images.map((image, index): Sequence => ({ place: `${path}, image ${index}`, data: { kind: "image", image } }));
}
