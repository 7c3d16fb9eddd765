/** @file Launches and bytes of three small plans, counted by hand: a dense post-LN layer, the same with an adapter, and routed. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Encoder } from "../../src/bench/encoder.ts";
import type { Explanation } from "../../src/graph/explain.ts";
import { coda } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { countedPass } from "./counted.ts";

// One layer of width d = 8 with 2 heads of 4 and dff = 16, over sequences of 3 and 1 rows: n = 4 rows, 2 segments, 3 offsets.
const SIZES = { layers: 1, width: 8, heads: 2, ffnWidth: 16, bottleneck: 8 };
const LENGTHS = [3, 1];
/** Units of the adapter, in a slot that has room for 8. */
const UNITS = 3;

let encoder: Encoder;

beforeAll(async () => {
  encoder = new Encoder(await sharedGpu(), SIZES, 1, { slots: 4 });
  await encoder.add("adapter", { layer_adapter: true, bottleneck_width: UNITS }, 2);
});

afterAll(() => encoder.dispose());

/** Kernel family and elements of 4 bytes of every launch. */
function launchesOf({ steps }: Explanation): (readonly [string, number])[] {
  return steps.flatMap(({ op, launches, bytes }) => Array.from({ length: launches }, () => [op, bytes / 4] as const));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Checks launches one by one, and the totals. */
function expectLaunches(explanation: Explanation, expected: readonly (readonly [string, number])[]): void {
  expect(launchesOf(explanation)).toEqual(expected);
  expect(explanation.launches).toBe(expected.length);
  expect(explanation.copies).toBe(0);
  expect(explanation.bytes).toBe(4 * sum(expected.map(([, elements]) => elements)));
}

/** The dense layer. A row of width 8 is 8 elements, n = 4 rows are 32. */
const DENSE: readonly (readonly [string, number])[] = [
  // x 4·8, W 24·8, bias 24, y 4·24
  ["matmul", 32 + 192 + 24 + 96],
  // of q the queries, of kv the keys and the values, y: 4 · 4·8; q_segments and kv_segments 3 each
  ["attention", 128 + 6],
  // x 4·8, W 8·8, bias 8, y 4·8
  ["matmul", 32 + 64 + 8 + 32],
  // x, residual and y 3 · 4·8; gamma and beta
  ["layer-norm", 96 + 16],
  // x 4·8, W 16·8, bias 16, y 4·16; the activation is in it
  ["matmul", 32 + 128 + 16 + 64],
  // x 4·16, W 8·16, bias 8, y 4·8
  ["matmul", 64 + 128 + 8 + 32],
  ["layer-norm", 96 + 16],
];

// x, residual and y 3 · 4·8; segments 3, segment_slots 2; of one slot its record of 4, down 3·8, up 8·3, biases 3 and 8
const ADAPTER = ["adapter", 96 + 5 + 4 + 24 + 24 + 3 + 8] as const;

describe("a plan counted by hand", () => {
  test("dense post-LN layer: 7 launches", () => {
    const explanation = countedPass(encoder, {}, LENGTHS);
    expectLaunches(explanation, DENSE);
    // qkv, proj, up and down over 4 rows; pairs 3·3 + 1·1, for each 2 · 8 for the score and 2 · 8 for the values
    const products = 2 * 4 * (24 * 8 + 8 * 8 + 16 * 8 + 8 * 16);
    expect(explanation.parts).toEqual({
      matmul: products,
      attention: 4 * 8 * 10,
      adapter: 0,
      router: 0,
      norm: 2 * 4 * 8 * 8,
      softmax: 4 * 2 * 10,
      // biases 24 + 8 + 16 + 8, the activation of 16, two residual sums of 8, a row
      other: 4 * (56 + 16 + 16),
    });
  });

  test("dense layer and adapter: 8 launches", () => {
    const explanation = countedPass(encoder, { adapters: "adapter" }, LENGTHS);
    expectLaunches(explanation, [...DENSE, ADAPTER]);
    expect(explanation.parts.adapter).toBe(4 * 4 * 8 * UNITS);
  });

  test("routed layer, r = 2, k-to-k: 11 launches", () => {
    const explanation = countedPass(encoder, { adapters: "adapter", routing: coda({ reduction: 2 }) }, LENGTHS);
    // 2 of 3 rows and 1 of 1 are selected: k = 3 rows are 24 elements.
    const selection = [
      // x 4·8, w 8, scores 4
      ["row-dot", 32 + 8 + 4],
      // scores 4, segments 3, selected segments 3, weights 4
      ["soft-top-k", 14],
      // scores 4, segments 3, selected segments 3; rows 3, positions 3, invalid 3
      ["top-k", 10 + 9],
    ] as const;
    const heavy = [
      // gathered x 3·8 and its 3 indices, W 24·8, bias 24, y 3·24
      ["matmul", 24 + 3 + 192 + 24 + 72],
      // 4 · 3·8, the selected segments twice
      ["attention", 96 + 6],
      ["matmul", 24 + 64 + 8 + 24],
      // x, gathered residual and y 3 · 3·8, 3 indices, gamma and beta
      ["layer-norm", 72 + 3 + 16],
      // x 3·8, W 16·8, bias 16, y 3·16
      ["matmul", 24 + 128 + 16 + 48],
      // x 3·16, W 8·16, bias 8, y 3·8
      ["matmul", 48 + 128 + 8 + 24],
      // x, residual and origin, base read and y written 5 · 3·8; 3 indices, 3 weights; gamma and beta
      ["layer-norm", 120 + 6 + 16],
    ] as const;
    const found = launchesOf(explanation);
    const expected = [...selection, ADAPTER, ...heavy];
    const order = (list: readonly (readonly [string, number])[]): string[] =>
      list.map(([op, n]) => `${op} ${n}`).sort();
    expect(order(found)).toEqual(order(expected));
    expect(explanation).toMatchObject({ launches: 11, copies: 0, copyBytes: 0 });
    expect(explanation.bytes).toBe(4 * sum(expected.map(([, elements]) => elements)));
    const { matmul, attention, adapter, router } = explanation.parts;
    // The same products over 3 rows; pairs 2·2 + 1·1; the adapter and the router see all 4 rows.
    expect([matmul, attention, adapter, router]).toEqual([2 * 3 * 512, 4 * 8 * 5, 4 * 4 * 8 * UNITS, 2 * 4 * 8]);
  });
});
