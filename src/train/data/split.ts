/** @file Which set an example belongs to, and which examples a limit takes: by a hash of the example, wherever it stands in its file. */

import { philox } from "../../random.ts";
import type { SetName, SplitPlan } from "../config/data.ts";
import type { Content, Row } from "./data.ts";

/** FNV-1a over bytes, going on from a hash. */
function fnv(bytes: Uint8Array, from: number): number {
  let hash = from;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

function bytesOf(content: Content): Uint8Array {
  if (content.kind === "text") {
    // Parts of a pair are kept apart by a character that no text has.
    return new TextEncoder().encode(typeof content.text === "string" ? content.text : content.text.join("\u0000"));
  }
  const data = content.kind === "audio" ? content.samples : content.image.data;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * @returns a number in [0, 1) that depends on the content and the seed alone: equal examples always fall together, and the order of a file
 * says nothing
 */
export function shareOf(content: Content, seed: number): number {
  const bytes = bytesOf(content);
  // Two hashes that begin differently: 64 bits keep two texts from falling together by chance. Philox makes neighbours unlike.
  const [high] = philox(
    [fnv(bytes, 0x811c9dc5), fnv(bytes, 0x1b873593), bytes.length >>> 0, 0],
    [seed >>> 0, 0x5f3759df],
  );
  return high / 2 ** 32;
}

/** Distributes rows over the sets. Without a split all of them are trained on. */
export function splitRows(rows: readonly Row[], split: SplitPlan | null): Record<SetName, Row[]> {
  const sets: Record<SetName, Row[]> = { train: [], evaluation: [], test: [] };
  for (const row of rows) sets[setOf(row, split)].push(row);
  return sets;
}

function setOf({ content, set }: Row, split: SplitPlan | null): SetName {
  if (split === null) return "train";
  if (split.by === "column") {
    if (split.evaluation.includes(set ?? "")) return "evaluation";
    return split.test.includes(set ?? "") ? "test" : "train";
  }
  const share = shareOf(content, split.seed);
  if (share < split.evaluation) return "evaluation";
  return share < split.evaluation + split.test ? "test" : "train";
}

/** The seed of limits: another one than that of splits, which would otherwise be cut along the same numbers. */
const LIMIT_SEED = 0x11ed;

/** @returns at most so many rows, in their order: those with the lowest hashes, so that a file sorted by label loses no class. */
export function limited(rows: readonly Row[], most: number | undefined): readonly Row[] {
  if (most === undefined || rows.length <= most) return rows;
  const shares = rows.map(({ content }, index) => ({ index, share: shareOf(content, LIMIT_SEED) }));
  shares.sort((a, b) => a.share - b.share || a.index - b.index);
  const kept = new Set(shares.slice(0, most).map(({ index }) => index));
  return rows.filter((_, index) => kept.has(index));
}
