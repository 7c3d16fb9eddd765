/** @file Cases of embedding: every combination of terms, f16 words, widths that are not multiples of 4. */

import { matrix } from "./case-tensors.ts";
import { generator, normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { segmentTable } from "./segment-tables.ts";

type Term = "word" | "half" | "base" | "position" | "types";

interface Shape {
  readonly lengths: readonly number[];
  readonly width: number;
  readonly positionOffset?: number;
}

const WORDS = 37;
const POSITIONS = 90;
const TYPES = 3;

function table(seed: number, rows: number, width: number): CaseTensor {
  return { shape: [rows, width], data: normal(seed, rows * width) };
}

function indices(seed: number, rows: number, below: number): CaseTensor {
  const uniform = generator(seed);
  const data = Uint32Array.from({ length: rows }, () => Math.floor(uniform() * below));
  if (rows > 0) data[rows - 1] = below - 1;
  return { shape: [rows], data, rows: "rows" };
}

function embed(terms: readonly Term[], { lengths, width, positionOffset = 0 }: Shape): OpCase {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const inputs = (): Record<string, CaseTensor> => ({
    segments: segmentTable(lengths),
    ...(terms.includes("word") ? { ids: indices(1, rows, WORDS), word: table(2, WORDS, width) } : {}),
    ...(terms.includes("half") ? { ids: indices(1, rows, WORDS), word: { ...table(2, WORDS, width), f16: true } } : {}),
    ...(terms.includes("base") ? { base: matrix(normal(3, rows * width), width) } : {}),
    ...(terms.includes("position") ? { position: table(4, POSITIONS, width) } : {}),
    ...(terms.includes("types") ? { types: indices(5, rows, TYPES), type_table: table(6, TYPES, width) } : {}),
  });
  const offset = positionOffset > 0 ? `, offset ${positionOffset}` : "";
  const name = `${terms.join(" + ")}, lengths ${lengths.join(" ")} x ${width}${offset}`;
  return { name, attributes: { positionOffset }, inputs, tolerance: toleranceFor(terms.length) };
}

const SHAPES: readonly Shape[] = [
  { lengths: [1], width: 1 },
  { lengths: [5, 0, 2, 64], width: 3 },
  { lengths: [0, 65, 1, 0], width: 8, positionOffset: 2 },
  { lengths: [17, 9], width: 257 },
  { lengths: [3, 4], width: 768 },
];

/** Cases of embedding. */
export const embeddingCases: CaseTable = {
  stem: "embedding",
  cases: [
    ...SHAPES.flatMap((shape) => [
      embed(["word", "position", "types"], shape),
      embed(["half", "position"], shape),
      embed(["base", "position"], shape),
    ]),
    embed(["word"], { lengths: [7], width: 5 }),
    embed(["half", "base", "position", "types"], { lengths: [7, 6], width: 12 }),
    embed(["base", "types"], { lengths: [4], width: 6 }),
    // The last rows lie past the position table and get nothing from it.
    embed(["word", "position"], { lengths: [10, 95], width: 4 }),
  ],
};
