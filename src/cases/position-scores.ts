/** @file Cases of `position-scores`: every mode on ragged segments, empty ones between them, and a long one. */

import type { CaseTable, OpCase } from "./case.ts";

interface Setting {
  readonly name: string;
  readonly lengths: readonly number[];
  readonly selected?: readonly number[];
}

const SETTINGS: readonly Setting[] = [
  { name: "n 1", lengths: [1], selected: [1] },
  { name: "nothing", lengths: [], selected: [] },
  { name: "ragged with empty segments", lengths: [7, 0, 63, 1, 65, 0], selected: [4, 0, 21, 1, 22, 0] },
  { name: "k from 0 to n", lengths: [6, 6, 6, 6, 6, 6, 6], selected: [0, 1, 2, 3, 4, 5, 6] },
  // The product of place and count passes 2^32.
  { name: "n 100000", lengths: [100_000], selected: [66_667] },
];

function offsets(lengths: readonly number[]): Uint32Array {
  const table = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, s) => (table[s + 1] = (table[s] as number) + length));
  return table;
}

function scored({ name, lengths, selected = [] }: Setting, mode: "first" | "strided" | "random", seed = 0): OpCase {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  return {
    name: `${mode}${seed === 0 ? "" : `, seed ${seed}`}, ${name}`,
    attributes: { mode, ...(mode === "random" ? { seed, stream: 3 } : {}) },
    inputs: () => ({
      x: { shape: [rows], data: new Float32Array(rows), rows: "rows" },
      segments: { shape: [lengths.length + 1], data: offsets(lengths), rows: "offsets" },
      ...(mode === "strided"
        ? { selected_segments: { shape: [lengths.length + 1], data: offsets(selected), rows: "offsets" } }
        : {}),
      ...(mode === "random"
        ? {
            keys: {
              shape: [lengths.length],
              data: Uint32Array.from(lengths, (_, s) => Math.imul(s + 1, 0x85ebca6b) >>> 0),
              rows: "sequences",
            },
          }
        : {}),
    }),
    tolerance: 0,
  };
}

/** Exact in every mode. */
export const positionScoresCases: CaseTable = {
  stem: "position-scores",
  cases: SETTINGS.flatMap((setting) => [
    scored(setting, "first"),
    scored(setting, "strided"),
    scored(setting, "random"),
    scored(setting, "random", 4_294_967_295),
  ]),
};
