/** @file The gradient rule of `join-rows`: both sources, rows that repeat or are left out, columns in the middle. */

import { expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { fromB, joinRows } from "../../src/ops/join-rows.ts";
import { normal } from "../../src/random.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";

const B = fromB;
// A prefix of two rows before every sequence, an entry past each source, row 2 of a never.
const ENTRIES = [B, B + 1, 0, 1, B, B + 1, 3, 9, B + 7, 4, 4, B + 1, 0xffffffff];

function sourcesOf(aWidth: number, bWidth: number): Readonly<Record<string, Source>> {
  return {
    a: { shape: [5, aWidth], data: normal(1, 5 * aWidth) },
    b: { shape: [3, bWidth], data: normal(2, 3 * bWidth) },
    rows: { shape: [ENTRIES.length], data: Uint32Array.from(ENTRIES), input: true },
  };
}

test.each([
  { width: 4, aWidth: 4, bWidth: 4, aAt: undefined, bAt: undefined },
  { width: 3, aWidth: 3, bWidth: 3, aAt: 0, bAt: 0 },
  { width: 8, aWidth: 12, bWidth: 8, aAt: 4, bAt: 0 },
  { width: 2, aWidth: 7, bWidth: 5, aAt: 4, bAt: 3 },
])("$width of $aWidth from $aAt and of $bWidth from $bAt", async ({ aWidth, bWidth, ...attributes }) => {
  const given = Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
  await checkGradient({
    sources: sourcesOf(aWidth, bWidth),
    build: (b, values) => [b.op(joinRows, values, given as { width: number }).y as Value],
  });
});

test("one value as both sources", async () => {
  const { b: _, ...sources } = sourcesOf(4, 4);
  await checkGradient({
    sources,
    build: (b, values) => [b.op(joinRows, { ...values, b: values.a }, { width: 4 }).y as Value],
  });
});

test("of a table of slots one is trained: rows of ragged sequences from both, the other's have no gradient", async () => {
  // Two slots of three rows: a prompt of slot 0 of two rows before the first sequence, one of slot 1 of three before the others.
  const entries = [B, B + 1, 0, 1, B + 3, B + 4, B + 5, 2, B + 3, B + 4, B + 5, 3, 4, 0xffffffff, B + 6];
  for (const width of [4, 3])
    for (const slot of [0, 1])
      await checkGradient({
        sources: {
          a: { shape: [5, width], data: normal(1, 5 * width) },
          b: { shape: [6, width], data: normal(2, 6 * width) },
          rows: { shape: [entries.length], data: Uint32Array.from(entries), input: true },
        },
        leaves: [{ parameter: "a" }, { parameter: "b", slot, elements: 3 * width }],
        build: (b, values) => [b.op(joinRows, values, { width }).y as Value],
      });
});

test("a frozen source costs nothing, and of a slot its rows alone are summed up", () => {
  const b = new GraphBuilder({ differentiable: true });
  const rows = b.input("rows", [4], "u32");
  const inputs = { a: b.parameter("a", [5, 4]), b: b.parameter("b", [6, 4]), rows };
  const value = b.op(joinRows, inputs, { width: 4 }).y as Value;
  const seed = { value, gradient: b.parameter("seed", [4, 4]) };
  const leaf = { parameter: "b", slot: 1, elements: 12 };
  const parts = backpropagate(b, [seed], [leaf]).get("b") ?? [];
  const ops = b.nodesOf(parts.map((part) => part.value)).filter(({ kind }) => kind === "op");
  expect(ops.map(({ attributes }) => attributes.source)).toEqual(["b"]);
  expect(parts.map(({ at, value: { type } }) => [at, type.shape])).toEqual([[0, [3, 4]]]);
});
