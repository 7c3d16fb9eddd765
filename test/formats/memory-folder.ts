/** @file A folder in memory, and small tensors, for the tests of adapter folders. */

import { notFound } from "../../src/formats/folder.ts";
import type { Folder } from "../../src/formats/folder.ts";
import type { PlainTensor } from "../../src/formats/adapter-hub/types.ts";
import { fromFloat32 } from "../../src/formats/tensor.ts";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";

/** A folder of the given files; texts are UTF-8, other values JSON. */
export function memoryFolder(files: Iterable<readonly [string, unknown]>): Folder {
  const bytes = new Map<string, Uint8Array>();
  for (const [name, content] of files) {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    bytes.set(name, content instanceof Uint8Array ? content : new TextEncoder().encode(text));
  }
  const list = async (): Promise<string[]> => [...bytes.keys()].sort();
  return {
    name: "memory",
    list,
    has: async (name) => bytes.has(name),
    read: async (name) => bytes.get(name) ?? Promise.reject(notFound("memory", name, await list())),
  };
}

/** A tensor whose values count up from `first` in steps of one eighth, so that slices tell themselves apart. */
export function counting(shape: readonly number[], first: number = 0): PlainTensor {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return { shape, data: Float32Array.from({ length: count }, (_, index) => first + index / 8) };
}

/** A safetensors file of tensors by key. */
export function tensorFile(tensors: Readonly<Record<string, PlainTensor>>): Uint8Array {
  return writeSafetensors(Object.entries(tensors).map(([name, { shape, data }]) => fromFloat32(name, shape, data)));
}

/** Bit patterns and shape, for exact comparison. */
export function bits({ shape, data }: PlainTensor): unknown {
  return { shape: [...shape], bits: Buffer.from(data.slice().buffer).toString("hex") };
}

/** All tensors of a map by name, for exact comparison. */
export function allBits(tensors: ReadonlyMap<string, PlainTensor>): Record<string, unknown> {
  return Object.fromEntries(
    [...tensors].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, tensor]) => [name, bits(tensor)]),
  );
}
