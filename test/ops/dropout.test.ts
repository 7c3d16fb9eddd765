/** @file `dropout` on the device against float64: the same choices to the bit, and their statistics. */

import { describe, expect, test } from "vitest";
import { dropoutCases } from "../../src/cases/dropout.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { dropout } from "../../src/ops/dropout.ts";
import { dropout as reference } from "../../src/reference/dropout.ts";
import { philox } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(dropout, reference, dropoutCases);

interface Draw {
  readonly count: number;
  readonly rate: number;
  readonly seed?: number;
  readonly step?: number;
  readonly stream?: number;
}

/** 1 where an element stays, 0 where it is left out. */
function kept({ count, rate, seed = 1, step = 0, stream = 0 }: Draw): Uint8Array {
  const inputs = {
    x: { shape: [count], data: new Float64Array(count).fill(1) },
    seed: { shape: [2], data: Uint32Array.of(seed, step) },
  };
  return Uint8Array.from(reference(inputs, { rate, stream }).y?.data as Float64Array, (value) => (value === 0 ? 0 : 1));
}

/** How far a share of n lies from the expected one, in standard deviations. */
function deviations(found: number, expected: number, n: number): number {
  return Math.abs(found - expected) / Math.sqrt((expected * (1 - expected)) / n);
}

/** Fixed seeds: these are checks of a fixed sequence. One in a thousand sequences would lie beyond. */
const MOST_DEVIATIONS = 3.3;

describe("Philox 4×32-10", () => {
  // The known answers that the authors' library Random123 is tested with (kat_vectors).
  test.each([
    ["zeros", [0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [
      "ones",
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      "digits of π",
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)("gives the published answer for %s", (_, counter, key, expected) => {
    expect(philox(counter, key)).toEqual(expected);
  });
});

describe("the choices", () => {
  const rows = 512;
  const width = 128;
  const count = rows * width;

  test.each([0.05, 0.1, 0.5, 0.9])("have the mean and variance of rate %d", (rate) => {
    const mask = kept({ count, rate });
    const mean = mask.reduce((sum, value) => sum + value, 0) / count;
    expect(deviations(mean, 1 - rate, count)).toBeLessThan(MOST_DEVIATIONS);
    // Rows are as uneven as independent choices make them: the variance of their counts is that of a binomial distribution.
    const counts = Array.from({ length: rows }, (_, row) =>
      mask.subarray(row * width, (row + 1) * width).reduce((sum, value) => sum + value, 0),
    );
    const expected = width * rate * (1 - rate);
    const variance = counts.reduce((sum, value) => sum + (value - width * (1 - rate)) ** 2, 0) / rows;
    expect(Math.abs(variance / expected - 1)).toBeLessThan(MOST_DEVIATIONS * Math.sqrt(2 / rows));
    // So are columns: the generator's four words are alike.
    const columns = Array.from({ length: width }, (_, column) => {
      let sum = 0;
      for (let row = 0; row < rows; row += 1) sum += mask[row * width + column] as number;
      return deviations(sum / rows, 1 - rate, rows) ** 2;
    });
    const chiSquare = columns.reduce((sum, value) => sum + value, 0);
    expect(Math.abs(chiSquare - width)).toBeLessThan(MOST_DEVIATIONS * Math.sqrt(2 * width));
  });

  const base: Draw = { count, rate: 0.5 };
  test.each<[string, Draw]>([
    ["the next stream", { ...base, stream: 1 }],
    ["a far stream", { ...base, stream: 2 ** 31 }],
    ["the next step", { ...base, step: 1 }],
    ["step 256", { ...base, step: 256 }],
    ["another seed", { ...base, seed: 2 }],
    ["seed and stream exchanged", { ...base, seed: 0, stream: 1 }],
  ])("are independent of those of %s", (_, other) => {
    const [a, b] = [kept(base), kept(other)];
    const equal = a.reduce((sum, value, i) => sum + (value === b[i] ? 1 : 0), 0) / count;
    expect(deviations(equal, 0.5, count)).toBeLessThan(MOST_DEVIATIONS);
  });

  test.each([1, 2, 3, 4, 5, 128, 129])("are independent of those %i elements on", (lag) => {
    const mask = kept(base);
    const pairs = count - lag;
    let equal = 0;
    for (let i = 0; i < pairs; i += 1) if (mask[i] === mask[i + lag]) equal += 1;
    expect(deviations(equal / pairs, 0.5, pairs)).toBeLessThan(MOST_DEVIATIONS);
  });

  test("all differ where anything differs, and are the same again where nothing does", () => {
    const draw = (other: Partial<Draw>): string => kept({ ...base, count: 256, ...other }).join("");
    const all = [{}, { seed: 2 }, { step: 1 }, { stream: 1 }, { seed: 0, stream: 1 }, { seed: 0, step: 1 }].map(draw);
    expect(new Set(all).size).toBe(all.length);
    expect(draw({})).toBe(all[0]);
  });
});

async function onDevice(shape: readonly number[], data: Float32Array, rate: number): Promise<Float32Array> {
  const inputs = { x: { shape, data, rows: "rows" }, seed: { shape: [2], data: Uint32Array.of(9, 4) } };
  const call = { name: "bits", attributes: { rate, stream: 5 }, inputs: () => inputs, tolerance: 0 };
  return (await evaluateCase(await sharedGpu(), dropout, call)).y?.data as Float32Array;
}

describe("on the device", () => {
  const data = Float32Array.from({ length: 4004 }, (_, i) => 1 + i / 4096);

  test("an element's choice depends on its number alone, not on the shape or the length", async () => {
    const all = await onDevice([1001, 4], data, 0.5);
    expect(await onDevice([4004], data, 0.5)).toEqual(all);
    expect(await onDevice([143, 7], data.slice(0, 1001), 0.5)).toEqual(all.slice(0, 1001));
    const mask = kept({ count: 4004, rate: 0.5, seed: 9, step: 4, stream: 5 });
    // 1 / (1 - 1/2) is exact, and so is every product.
    expect(all).toEqual(data.map((value, i) => (mask[i] === 1 ? 2 * value : 0)));
  });

  test("an element stays from the threshold on", async () => {
    const bits = philox([2, 4, 0, 0], [9, 5])[3];
    const x = new Float32Array(16).fill(1);
    expect((await onDevice([16], x, bits / 2 ** 32))[11]).not.toBe(0);
    expect((await onDevice([16], x, (bits + 1) / 2 ** 32))[11]).toBe(0);
  });

  test("rate 0 changes nothing", async () => {
    expect(await onDevice([1001, 4], data, 0)).toEqual(data);
  });
});

test("dropout names what does not fit", () => {
  const x = { shape: [7, 4], element: "f32" } as const;
  const seed = { shape: [2], element: "u32" } as const;
  expect(dropout.infer({ x, seed }, { rate: 0.1, stream: 0 }).y?.shape).toEqual([7, 4]);
  expect(() => dropout.infer({ x, seed }, { rate: 1, stream: 0 })).toThrow("rate is 1");
  expect(() => dropout.infer({ x, seed }, { rate: -0.1, stream: 0 })).toThrow("rate is -0.1");
  expect(() => dropout.infer({ x, seed }, { rate: 0.1, stream: 2 ** 32 })).toThrow("stream is 4294967296");
  expect(() => dropout.infer({ x, seed: { shape: [1], element: "u32" } }, { rate: 0.1, stream: 0 })).toThrow(
    "seed axis 0 is 1, expected 2",
  );
});
