/** @file Sampled rows reach every tile of every sequence, on both paths. */

import { describe, expect, test } from "vitest";
import { LEAST_ROWS, SMALLEST_TILE, sampleRows } from "../../src/bench/sampled-rows.ts";

function tilesOf(rows: Iterable<number>): Set<number> {
  return new Set([...rows].map((row) => Math.floor(row / SMALLEST_TILE)));
}

describe("sampled rows", () => {
  test("hold a row of every tile of rows and of selected rows, and all ends", () => {
    const lengths = [700, 1, 33, 290];
    const total = 1024;
    const selected = Uint32Array.from({ length: 341 }, (_, index) => 3 * index);
    const rows = new Set(sampleRows(lengths, [selected], 1));
    expect(tilesOf(rows).size).toBe(total / SMALLEST_TILE);
    const places = [...selected.keys()].filter((place) => rows.has(selected[place] as number));
    expect(tilesOf(places).size).toBe(Math.ceil(selected.length / SMALLEST_TILE));
    for (const end of [0, 699, 700, 701, 733, 734, 1023]) expect(rows).toContain(end);
    for (const end of [0, 699, 702, 732, 735, 1020]) expect(rows).toContain(end);
  });

  test("are ascending, without repeats, the same for a seed and others for another", () => {
    const rows = sampleRows([500], [], 1);
    expect([...rows]).toEqual([...new Set(rows)].toSorted((a, b) => a - b));
    expect(sampleRows([500], [], 1)).toEqual(rows);
    expect(sampleRows([500], [], 2)).not.toEqual(rows);
  });

  test("are never fewer than the least, and all where there are no more", () => {
    expect(sampleRows([200], [], 1).length).toBeGreaterThanOrEqual(LEAST_ROWS);
    expect([...sampleRows([LEAST_ROWS - 2, 1], [], 1)]).toEqual([...Array(LEAST_ROWS - 1).keys()]);
    expect([...sampleRows([0, 2, 0], [], 1)]).toEqual([0, 1]);
    expect(sampleRows([], [], 1)).toHaveLength(0);
  });
});
