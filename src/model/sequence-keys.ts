/** @file A number for every sequence of a batch, made of its content alone: what random routers tell sequences apart by. */

import type { HostShape } from "../hosts/host.ts";
import type { Batch } from "./batch.ts";

// The 32-bit FNV-1a hash, over words instead of bytes.
const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;

function hash(start: number, words: Uint32Array): number {
  return words.reduce((bits, word) => Math.imul(bits ^ word, PRIME) >>> 0, start);
}

/** @returns the key of every sequence; sequences of equal content have equal keys in every batch. */
export function sequenceKeys({ source, rows, arrays }: Batch, { input }: HostShape): Uint32Array {
  const classRows = input.kind === "ids" || (input.kind === "image" && !input.classToken) ? 0 : 1;
  // Clips are padded to one length; everything else has as many values per row as the others.
  const shares =
    source === "audio" ? rows.map(() => 1) : rows.map((count) => count - (source === "ids" ? 0 : classRows));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const keys = new Uint32Array(rows.length).fill(OFFSET);
  for (const { buffer, byteOffset, length } of Object.values(arrays)) {
    const words = new Uint32Array(buffer as ArrayBuffer, byteOffset, length);
    const perShare = total === 0 ? 0 : length / total;
    let at = 0;
    shares.forEach((share, sequence) => {
      const end = at + share * perShare;
      keys[sequence] = hash(keys[sequence] as number, words.subarray(at, end));
      at = end;
    });
  }
  return keys;
}
