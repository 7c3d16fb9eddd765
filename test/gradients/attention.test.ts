/** @file The gradient of attention: packed and apart, ragged, causal, selected rows, keys of their own, a relative bias. */

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { attention } from "../../src/ops/attention.ts";
import type { AttentionAttributes } from "../../src/ops/attention.ts";
import { normal } from "../../src/random.ts";
import { checkGradient } from "./check-gradient.ts";
import type { GradientCase, Source } from "./check-gradient.ts";

const [heads, headWidth] = [2, 12];
const width = heads * headWidth;
const base: AttentionAttributes = { heads, headWidth, scale: 1 / Math.sqrt(headWidth) };
const lengths = [3, 0, 17, 1, 5];

function offsets(of: readonly number[]): Source {
  const data = new Uint32Array(of.length + 1);
  of.forEach((length, s) => (data[s + 1] = (data[s] as number) + length));
  return { shape: [data.length], data, input: true };
}

function indices(values: readonly number[]): Source {
  return { shape: [values.length], data: Uint32Array.from(values), input: true };
}

function rows(seed: number, of: readonly number[], columns: number): Source {
  const count = of.reduce((a, b) => a + b, 0);
  return { shape: [count, columns], data: normal(seed, count * columns) };
}

type Build = GradientCase["build"];

const attend =
  (attributes: Partial<AttentionAttributes>): Build =>
  (b, { qkv, ...inputs }) => [
    b.op(attention, qkv === undefined ? inputs : { q: qkv, kv: qkv, ...inputs }, { ...base, ...attributes }).y as Value,
  ];

const packed = { kAt: width + 4, vAt: 2 * width + 4 };
const apart = { kAt: width, vAt: 0 };
const queries = [2, 1, 4, 0, 5];
const positions = [0, 2, 0, 1, 5, 11, 16, 0, 1, 2, 3, 4];

describe("attention", () => {
  test.each([false, true])("q, k and v in one matrix, causal: %s", async (causal) => {
    const table = offsets(lengths);
    const qkv = rows(1, lengths, 3 * width + 4);
    await checkGradient({
      sources: { qkv, q_segments: table, kv_segments: table },
      build: attend({ ...packed, causal }),
    });
  });

  test("selected queries against all keys, of another number of rows, with a bias", async () => {
    const bias: Source = { shape: [9, heads], data: normal(4, 9 * heads) };
    await checkGradient({
      sources: {
        q: rows(2, queries, width),
        kv: rows(3, lengths, 2 * width),
        q_segments: offsets(queries),
        kv_segments: offsets(lengths),
        positions: indices(positions),
        bias,
      },
      build: attend(apart),
    });
  });

  test("keys of their own, causal: some queries see none, some keys no query", async () => {
    const keys = [2, 3, 3, 1, 0];
    await checkGradient({
      sources: {
        q: rows(5, queries, width),
        kv: rows(6, keys, 2 * width),
        q_segments: offsets(queries),
        kv_segments: offsets(keys),
        positions: indices(positions),
        kv_positions: indices([1, 2, 0, 0, 4, 3, 12, 16, 0]),
      },
      build: attend({ ...apart, causal: true }),
    });
  });

  test.each(["q", "kv", "bias"])("of %s alone", async (parameter) => {
    const table = offsets([6, 2]);
    await checkGradient({
      sources: {
        q: rows(7, [6, 2], width),
        kv: rows(8, [6, 2], 2 * width),
        q_segments: table,
        kv_segments: table,
        bias: { shape: [5, heads], data: normal(9, 5 * heads) },
      },
      build: attend({ ...apart, causal: true }),
      leaves: [{ parameter }],
    });
  });

  test("one op gives the gradient of one matrix, in its full width", () => {
    const b = new GraphBuilder({ differentiable: true });
    const qkv = b.parameter("qkv", [4, 3 * width]);
    const table = b.input("table", [2], "u32");
    const inputs = { q: qkv, kv: qkv, q_segments: table, kv_segments: table };
    const y = b.op(attention, inputs, { ...base, kAt: width, vAt: 2 * width }).y as Value;
    const found = backpropagate(b, [{ value: y, gradient: b.parameter("dy", [4, width]) }], [{ parameter: "qkv" }]);
    const [part] = found.get("qkv") ?? [];
    expect(part?.value.node.label).toBe("attention-gradient");
    expect(part?.value.type.shape).toEqual([4, 3 * width]);
    expect(Object.keys(part?.value.node.outputs ?? {})).toEqual(["dq"]);
  });
});
