/** @file Element types: conversion to float32 and integers, half precision against its definition. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { f16ToF32, f32ToF16 } from "../../src/half.ts";
import { fromFloat32, isCount, tensorBytes, toFloat32, toIntegers } from "../../src/formats/tensor.ts";
import type { StoredTensor, TensorDtype } from "../../src/formats/tensor.ts";
import { expectError } from "./expect-error.ts";

function stored(dtype: TensorDtype, values: ArrayBufferView, shape: readonly number[]): StoredTensor {
  return { name: "t", dtype, shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** The same bytes at an odd address. */
function misaligned(tensor: StoredTensor): StoredTensor {
  const bytes = new Uint8Array(tensor.bytes.length + 1).subarray(1);
  bytes.set(tensor.bytes);
  return { ...tensor, bytes };
}

/** The value of a half by definition (IEEE 754), in float64. */
function halfValue(half: number): number {
  const sign = half >> 15 === 0 ? 1 : -1;
  const exponent = (half >> 10) & 31;
  const fraction = (half & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

describe("half precision", () => {
  it("widens all 65,536 patterns to their definition and narrows them back", () => {
    const halves = Uint16Array.from({ length: 65536 }, (_, index) => index);
    const floats = f16ToF32(halves);
    const back = f32ToF16(floats);
    for (let half = 0; half < 65536; half++) {
      if (!Object.is(floats[half], halfValue(half))) throw new Error(`widened ${half} to ${floats[half]}`);
      // NaNs come back quiet; everything else bit for bit.
      const expected = Number.isNaN(halfValue(half)) ? half | 0x200 : half;
      if (back[half] !== expected) throw new Error(`narrowed ${half} to ${back[half]}`);
    }
  });

  it("rounds the middle between two halves to even, and either side of it to the nearer", () => {
    for (let half = 0; half < 0x7c00; half++) {
      const [low, high] = [halfValue(half), half === 0x7bff ? 65536 : halfValue(half + 1)];
      const middle = (low + high) / 2;
      const values = Float32Array.of(middle, below(middle), above(middle), -middle);
      const even = half % 2 === 0 ? half : half + 1;
      expect([...f32ToF16(values)]).toEqual([even, half, half + 1, even | 0x8000]);
    }
  });

  it("sends what is too small to signed zero and what is too large to infinity", () => {
    const values = Float32Array.of(2 ** -25, -(2 ** -26), 1e-45, -0, 65520, 65519.996, 1e30, -Infinity);
    expect([...f32ToF16(values)]).toEqual([0, 0x8000, 0, 0x8000, 0x7c00, 0x7bff, 0x7c00, 0xfc00]);
  });
});

function below(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = (bits[0] as number) - 1;
  return new Float32Array(bits.buffer)[0] as number;
}

function above(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = (bits[0] as number) + 1;
  return new Float32Array(bits.buffer)[0] as number;
}

describe("toFloat32", () => {
  const values = Float32Array.of(1.5, -0, NaN, Infinity, 1e-45, 3.4e38);

  it("views aligned F32 and copies misaligned F32", () => {
    const tensor = fromFloat32("t", [6], values);
    expect(toFloat32(tensor).buffer).toBe(values.buffer);
    const copy = toFloat32(misaligned(tensor));
    expect(copy.buffer).not.toBe(values.buffer);
    expect(copy).toEqual(values);
  });

  it("widens F16 and BF16 exactly, at any alignment", () => {
    const half = stored("F16", Uint16Array.of(0x3c00, 0xc000, 0x0001), [3]);
    const brain = stored("BF16", Uint16Array.of(0x3f80, 0xc000, 0x7f80, 0x0001), [4]);
    for (const change of [(tensor: StoredTensor) => tensor, misaligned]) {
      expect([...toFloat32(change(half))]).toEqual([1, -2, 2 ** -24]);
      expect([...toFloat32(change(brain))]).toEqual([1, -2, Infinity, 2 ** -133]);
    }
  });

  it("rounds F64", () => {
    const tensor = stored("F64", Float64Array.of(0.1, 1e300, -2), [3]);
    expect([...toFloat32(misaligned(tensor))]).toEqual([Math.fround(0.1), Infinity, -2]);
  });

  it("refuses integers by name", () => {
    expectError(() => toFloat32(stored("I64", BigInt64Array.of(1n), [1])), "BAD_WEIGHTS", /t: I64 elements cannot/);
    expectError(() => toFloat32(stored("F8_E4M3", Uint8Array.of(1), [1])), "BAD_WEIGHTS", /F8_E4M3/);
  });

  it("reads empty tensors and scalars", () => {
    expect(toFloat32(stored("F32", new Float32Array(0), [0, 5]))).toHaveLength(0);
    expect([...toFloat32(stored("F32", Float32Array.of(7), []))]).toEqual([7]);
  });
});

describe("toIntegers", () => {
  it.each<[TensorDtype, ArrayBufferView, number[]]>([
    ["I64", BigInt64Array.of(-1n, 5n, 2147483647n), [-1, 5, 2147483647]],
    ["U64", BigUint64Array.of(3n), [3]],
    ["I32", Int32Array.of(-7, -2147483648), [-7, -2147483648]],
    ["U32", Uint32Array.of(7), [7]],
    ["I16", Int16Array.of(-300), [-300]],
    ["U16", Uint16Array.of(65535), [65535]],
    ["I8", Int8Array.of(-128), [-128]],
    ["U8", Uint8Array.of(255), [255]],
    ["BOOL", Uint8Array.of(0, 1), [0, 1]],
  ])("reads %s", (dtype, values, expected) => {
    const tensor = stored(dtype, values, [expected.length]);
    expect([...toIntegers(tensor)]).toEqual(expected);
    expect([...toIntegers(misaligned(tensor))]).toEqual(expected);
  });

  it("refuses values outside int32 and floats", () => {
    expectError(
      () => toIntegers(stored("I64", BigInt64Array.of(0n, 1n << 31n), [2])),
      "BAD_WEIGHTS",
      /element 1 is 2147483648/,
    );
    expectError(() => toIntegers(stored("U32", Uint32Array.of(0xffffffff), [1])), "BAD_WEIGHTS", /element 0/);
    expectError(
      () => toIntegers(stored("F32", Float32Array.of(1), [1])),
      "BAD_WEIGHTS",
      /F32 elements are not integers/,
    );
  });
});

describe("sizes", () => {
  it("multiplies exactly or refuses", () => {
    expect(tensorBytes("F4", [3, 2], "t")).toBe(3);
    expect(tensorBytes("F32", [], "t")).toBe(4);
    expect(tensorBytes("F32", [0, 1000], "t")).toBe(0);
    expectError(() => tensorBytes("F4", [3], "t"), "BAD_FILE", /whole number of bytes/);
    expectError(() => tensorBytes("F32", [2 ** 26, 2 ** 26], "t"), "BAD_FILE", /overflows/);
    expectError(() => tensorBytes("U8", [2 ** 52, 2 ** 52, 0], "t"), "BAD_FILE", /overflows/);
  });

  it("counts are exact and not negative", () => {
    fc.assert(
      fc.property(fc.nat(), (value) => isCount(value)),
      { numRuns: 100 },
    );
    for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53, -0, "1", null, undefined, 1n])
      expect(isCount(value)).toBe(false);
  });
});
