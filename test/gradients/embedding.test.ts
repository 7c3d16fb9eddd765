/** @file The gradient rule of `embedding`: every term, ids that repeat, and positions past their table. */

import { expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { embedding } from "../../src/ops/embedding.ts";
import { normal } from "../../src/random.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";

const ROWS = 10;

function sourcesOf(width: number): Readonly<Record<string, Source>> {
  const table = (seed: number, rows: number): Source => ({ shape: [rows, width], data: normal(seed, rows * width) });
  const index = (...data: number[]): Source => ({ shape: [data.length], data: Uint32Array.from(data), input: true });
  return {
    word: table(1, 6),
    ids: index(5, 0, 0, 3, 5, 5, 1, 0, 5, 4),
    position: table(2, 7),
    type_table: table(3, 2),
    types: index(0, 0, 1, 1, 0, 0, 0, 0, 0, 0),
    base: table(4, ROWS),
    segments: index(0, 4, 4, 5, 10),
  };
}

function pick(sources: Readonly<Record<string, Source>>, ...names: string[]): Record<string, Source> {
  return Object.fromEntries(names.map((name) => [name, sources[name] as Source]));
}

/** The call reads what the case has. */
function build(b: GraphBuilder, values: Readonly<Record<string, Value>>, positionOffset = 0): Value[] {
  return [b.op(embedding, values, { positionOffset }).y as Value];
}

test.each([3, 8])("all tables, width %i", async (width) => {
  const sources = pick(sourcesOf(width), "ids", "word", "position", "types", "type_table", "segments");
  await checkGradient({ sources, build });
});

test("rows computed before, with positions from the second on, of which the last lie past the table", async () => {
  const sources = pick(sourcesOf(4), "base", "position", "segments");
  await checkGradient({ sources, build: (b, values) => build(b, values, 3) });
});

test("every term at once", async () => {
  await checkGradient({ sources: sourcesOf(4), build: (b, values) => build(b, values, 2) });
});

test("one table alone costs nothing of the others", () => {
  const b = new GraphBuilder({ differentiable: true });
  const values = Object.fromEntries(
    Object.entries(sourcesOf(4)).map(([name, { shape, data, input }]) => {
      const element = data instanceof Uint32Array ? "u32" : "f32";
      return [name, input === true ? b.input(name, shape, element) : b.parameter(name, shape, element)];
    }),
  );
  const [value] = build(b, values) as [Value];
  const seed = { value, gradient: b.parameter("seed", [ROWS, 4]) };
  const ops = (parameter: string): string[] => {
    const parts = backpropagate(b, [seed], [{ parameter }]).get(parameter) ?? [];
    return b.nodesOf(parts.map((part) => part.value)).flatMap(({ kind, label }) => (kind === "op" ? [label] : []));
  };
  expect(ops("word")).toEqual(["sum-by-index"]);
  expect(ops("type_table")).toEqual(["sum-by-index"]);
  expect(ops("position")).toEqual(["position-sums"]);
  expect(ops("base")).toEqual([]);
});
