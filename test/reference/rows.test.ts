/** @file The float64 row operations against rows that can be computed by hand. */

import { describe, expect, test } from "vitest";
import { elementwise } from "../../src/reference/elementwise.ts";
import { layerNorm } from "../../src/reference/layer-norm.ts";
import { rmsNorm } from "../../src/reference/rms-norm.ts";
import { rowDot } from "../../src/reference/row-dot.ts";
import { softmax } from "../../src/reference/softmax.ts";
import type { ReferenceTensor } from "../../src/reference/tensor.ts";

const f64 = (shape: readonly number[], ...values: number[]): ReferenceTensor => ({
  shape,
  data: Float64Array.from(values),
});
const u32 = (...values: number[]): ReferenceTensor => ({ shape: [values.length], data: Uint32Array.from(values) });

function expectClose(tensor: ReferenceTensor | undefined, expected: readonly number[]): void {
  expect(tensor?.data.length).toBe(expected.length);
  expected.forEach((value, i) => expect(tensor?.data[i]).toBeCloseTo(value, 12));
}

describe("layer norm", () => {
  // Mean 5, deviations -3 -1 1 3, variance 5.
  const x = f64([1, 4], 2, 4, 6, 8);
  const gamma = f64([4], 1, 2, 1, 1);
  const beta = f64([4], 0, 0, 10, 0);
  const normed = [-3, -2, 1, 3].map((value, c) => value / Math.sqrt(5) + (c === 2 ? 10 : 0));

  test("of a row", () => expectClose(layerNorm({ x, gamma, beta }, { eps: 0 }).y, normed));
  test("eps is added to the variance", () => {
    expectClose(layerNorm({ x, gamma, beta: f64([4], 0, 0, 0, 0) }, { eps: 4 }).y, [-1, -2 / 3, 1 / 3, 1]);
  });
  test("residual, gather and router", () => {
    const inputs = { x: f64([2, 4], 9, 9, 9, 1, 1, 2, 5, 6), residual: f64([1, 4], 1, 2, 1, 2), gamma, beta };
    const { y, score } = layerNorm(
      { ...inputs, gather: u32(1), router: f64([4], 1, 0, 1, 0) },
      { eps: 0, gatherOf: "x" },
    );
    expectClose(y, normed);
    expectClose(score, [(normed[0] as number) + (normed[2] as number)]);
    const other = { ...inputs, x: inputs.residual, residual: inputs.x };
    expectClose(layerNorm({ ...other, gather: u32(1) }, { eps: 0, gatherOf: "residual" }).y, normed);
  });
  test("scatter: y[s] += weight[s] (LN - origin[s])", () => {
    const base = f64([2, 4], 1, 1, 1, 1, 100, 100, 100, 100);
    const origin = f64([2, 4], 7, 7, 7, 7, 1, 2, 3, 4);
    const { y } = layerNorm({ x, gamma, beta, scatter: u32(1), weight: f64([2], 9, 0.5), base, origin }, { eps: 0 });
    expectClose(y, [1, 1, 1, 1, ...normed.map((value, c) => 100 + 0.5 * (value - (c + 1)))]);
    expectClose(layerNorm({ x, gamma, beta, scatter: u32(0), base }, { eps: 0 }).y, [
      ...normed.map((v) => v + 1),
      100,
      100,
      100,
      100,
    ]);
  });
});

test("rms norm divides by the root of the mean square, without a mean", () => {
  const { y } = rmsNorm({ x: f64([1, 2], 1, 7), gamma: f64([2], 1, 10) }, { eps: 0 });
  expectClose(y, [0.2, 14]);
});

test("softmax", () => {
  expectClose(softmax({ x: f64([2, 3], 0, Math.log(2), Math.log(5), 1e4, -Infinity, 1e4) }).y, [
    1 / 8,
    2 / 8,
    5 / 8,
    0.5,
    0,
    0.5,
  ]);
});

test("row dot", () => expectClose(rowDot({ x: f64([2, 2], 1, 2, 3, 4), w: f64([2], 10, 1) }).y, [12, 34]));

test("elementwise repeats a row and a single value", () => {
  const a = f64([2, 2], 1, 2, 3, 4);
  expectClose(elementwise({ a, b: f64([2], 10, 20) }, { operation: "sub" }).y, [-9, -18, -7, -16]);
  expectClose(elementwise({ a, b: f64([1], 3) }, { operation: "mul" }).y, [3, 6, 9, 12]);
  expectClose(elementwise({ a, b: f64([2, 2], 0, 0, 4, 3) }, { operation: "hypot" }).y, [1, 2, 5, 5]);
  expectClose(elementwise({ a }, { operation: "log" }).y, [0, Math.log(2), Math.log(3), Math.log(4)]);
});
