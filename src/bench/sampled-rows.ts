/** @file Which rows of a long run are compared with float64: some of every tile of every sequence, on the light path and on the heavy one. */

import { generator } from "../random.ts";
import type { Random } from "../random.ts";

/** Rows of the smallest tile that a kernel computes at once; larger ones are whole multiples of it. */
export const SMALLEST_TILE = 32;
/** Never fewer rows than these, where there are as many. */
export const LEAST_ROWS = 32;

/** One place of every tile of [start, end): its first, its last or one between. */
function onePerTile(start: number, end: number, random: Random): number[] {
  const drawn: number[] = [];
  for (let from = start; from < end; from += SMALLEST_TILE) {
    const to = Math.min(from + SMALLEST_TILE, end);
    drawn.push([from, to - 1, from + Math.floor(random() * (to - from))][Math.floor(random() * 3)] as number);
  }
  return drawn;
}

/** First and last place of [start, end), and one of every tile. */
function places(start: number, end: number, random: Random): number[] {
  return end > start ? [start, end - 1, ...onePerTile(start, end, random)] : [];
}

/**
 * Draws rows of a packed batch: of every sequence the first, the last and one of each tile; of the selected rows, which the heavy path
 * packs again, the same by their places among them; then any until there are {@link LEAST_ROWS}.
 * @param lengths of the sequences
 * @param selections packed rows that layers have selected, ascending
 * @returns rows, ascending
 */
export function sampleRows(lengths: readonly number[], selections: readonly Uint32Array[], seed: number): Uint32Array {
  const random = generator(seed);
  const rows = new Set<number>();
  let start = 0;
  for (const length of lengths) {
    for (const row of places(start, start + length, random)) rows.add(row);
    for (const selected of selections) {
      const [from, to] = [start, start + length].map((edge) => selected.filter((row) => row < edge).length);
      for (const place of places(from as number, to as number, random)) rows.add(selected[place] as number);
    }
    start += length;
  }
  // Tiles of matmuls and norms do not stop at the end of a sequence.
  for (const row of places(0, start, random)) rows.add(row);
  for (const selected of selections) {
    for (const place of places(0, selected.length, random)) rows.add(selected[place] as number);
  }
  while (rows.size < Math.min(LEAST_ROWS, start)) rows.add(Math.floor(random() * start));
  return Uint32Array.from(rows).sort();
}
