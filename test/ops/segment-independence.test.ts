/** @file A row's bits depend on its own segment only: a batch equals its segments run one by one, in any order. */

import { expect, test } from "vitest";
import { matrix } from "../../src/cases/case-tensors.ts";
import { normal } from "../../src/cases/case.ts";
import type { CaseTensor } from "../../src/cases/case.ts";
import { segmentTable } from "../../src/cases/segment-tables.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { adapter, adapterStride } from "../../src/ops/adapter.ts";
import { attention } from "../../src/ops/attention.ts";
import type { Attributes, Op } from "../../src/ops/op.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const lengths = [5, 131, 1, 70];
const SLOTS = 2;

function offsetOf(segment: number): number {
  return lengths.slice(0, segment).reduce((a, b) => a + b, 0);
}

/** The rows of some segments, one after another. */
function pick(data: Float32Array, width: number, segments: readonly number[]): Float32Array {
  const parts = segments.map((s) => [
    ...data.subarray(offsetOf(s) * width, (offsetOf(s) + (lengths[s] as number)) * width),
  ]);
  return Float32Array.from(parts.flat());
}

async function expectIndependent<A>(
  op: Op<A>,
  variant: string,
  attributes: Attributes,
  inputs: (segments: readonly number[]) => Record<string, CaseTensor>,
  width: number,
): Promise<void> {
  const gpu = await sharedGpu();
  const run = async (segments: readonly number[]): Promise<Float32Array> => {
    const opCase = { name: variant, attributes, inputs: () => inputs(segments), tolerance: 0 };
    const { y } = await evaluateCase(gpu, op, opCase, variant);
    return y?.data as Float32Array;
  };
  const all = await run([0, 1, 2, 3]);
  expect(await run([3, 2, 0, 1]), `${variant}, another order`).toEqual(pick(all, width, [3, 2, 0, 1]));
  for (const segment of [0, 1, 2, 3]) {
    expect(await run([segment]), `${variant}, segment ${segment} alone`).toEqual(pick(all, width, [segment]));
  }
}

test("attention", async () => {
  const [heads, headWidth] = [2, 16];
  const width = heads * headWidth;
  const qkv = normal(1, 207 * 3 * width);
  const attributes = { heads, headWidth, scale: 0.25, causal: true, kAt: width, vAt: 2 * width };
  const inputs = (segments: readonly number[]): Record<string, CaseTensor> => {
    const rows = matrix(pick(qkv, 3 * width, segments), 3 * width);
    const table = segmentTable(segments.map((s) => lengths[s] as number));
    return { q: rows, kv: rows, q_segments: table, kv_segments: table };
  };
  const { subgroups } = (await sharedGpu()).traits;
  for (const variant of subgroups ? ["portable", "subgroup"] : ["portable"]) {
    await expectIndependent(attention, variant, attributes, inputs, width);
  }
});

test("adapter", async () => {
  const [width, maxWidth] = [24, 8];
  const x = normal(2, 207 * width);
  const stride = adapterStride(width, maxWidth);
  const scale = new Uint32Array(Float32Array.of(1.5).buffer)[0] as number;
  const inputs = (segments: readonly number[]): Record<string, CaseTensor> => ({
    x: matrix(pick(x, width, segments), width),
    bank: { shape: [SLOTS, stride], data: normal(3, SLOTS * stride, 0.3) },
    slots: { shape: [SLOTS, 4], data: Uint32Array.of(8, 2, scale, 0, 5, 4, scale, 0) },
    segments: segmentTable(segments.map((s) => lengths[s] as number)),
    segment_slots: { shape: [segments.length], data: Uint32Array.from(segments, (s) => s % SLOTS), rows: "segments" },
  });
  const { subgroups } = (await sharedGpu()).traits;
  for (const variant of subgroups ? ["portable", "tiled", "subgroup", "quad"] : ["portable", "tiled"]) {
    await expectIndependent(adapter, variant, { width, maxWidth }, inputs, width);
  }
});
