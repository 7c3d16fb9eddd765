/** @file .npy: the three versions, every element type, and what is refused. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { EngineError } from "../../src/errors.ts";
import { readNpy } from "../../src/formats/npy.ts";
import { expectError } from "./expect-error.ts";
import { concat } from "./torch-writer.ts";

function npy(header: string, data: Uint8Array, version = 1): Uint8Array {
  const text = new TextEncoder().encode(header);
  const length =
    version === 1
      ? new Uint8Array(new Uint16Array([text.length]).buffer)
      : new Uint8Array(new Uint32Array([text.length]).buffer);
  return concat([Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0), length, text, data]);
}

const header = (descr: string, shape: string, order = "False"): string =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }          \n`;

describe("readNpy", () => {
  it.each([1, 2, 3])("reads version %i", (version) => {
    const file = npy(header("'<f4'", "(2, 3)"), new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer), version);
    const { dtype, shape, bytes } = readNpy(file, "x.npy");
    expect({ dtype, shape }).toEqual({ dtype: "F32", shape: [2, 3] });
    expect([...new Float32Array(bytes.slice().buffer)]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it.each([
    ["'|b1'", "BOOL", 1],
    ["'|u1'", "U8", 1],
    ["'|i1'", "I8", 1],
    ["'<u2'", "U16", 2],
    ["'<i2'", "I16", 2],
    ["'<f2'", "F16", 2],
    ["'<u4'", "U32", 4],
    ["'<i4'", "I32", 4],
    ["'<u8'", "U64", 8],
    ["'<i8'", "I64", 8],
    ["'<f8'", "F64", 8],
    ['"<f4"', "F32", 4],
  ])("reads %s", (descr, dtype, size) => {
    expect(readNpy(npy(header(descr, "(3,)"), new Uint8Array(3 * size)), "x.npy")).toMatchObject({ dtype, shape: [3] });
  });

  it.each([
    ["()", [], 4],
    ["(0,)", [0], 0],
    ["(3L, 0L)", [3, 0], 0],
    ["(1,1,2)", [1, 1, 2], 8],
  ])("reads the shape %s", (text, shape, bytes) => {
    expect(readNpy(npy(header("'<f4'", text), new Uint8Array(bytes)), "x.npy").shape).toEqual(shape);
  });

  it.each([
    ["big-endian", header("'>f4'", "(1,)"), /">f4"/],
    ["complex", header("'<c8'", "(1,)"), /"<c8"/],
    ["structured", header("[('a', '<f4')]", "(1,)"), /structured/],
    ["Fortran order", header("'<f4'", "(1,)", "True"), /Fortran/],
    ["inherited names", header("'toString'", "(1,)"), /toString/],
  ])("does not support %s", (_, text, message) => {
    expectError(() => readNpy(npy(text, new Uint8Array(4)), "x.npy"), "UNSUPPORTED", message);
  });

  it.each([
    ["a short body", npy(header("'<f4'", "(2,)"), new Uint8Array(7)), /takes 8 bytes; the file has 7/],
    ["a long body", npy(header("'<f4'", "(2,)"), new Uint8Array(9)), /the file has 9/],
    ["an overflowing shape", npy(header("'<f4'", "(4294967296, 4294967296)"), new Uint8Array(0)), /overflows/],
    ["an inexact extent", npy(header("'<f4'", "(9007199254740993,)"), new Uint8Array(0)), /malformed/],
    ["a number as shape", npy(header("'<f4'", "(2)"), new Uint8Array(8)), /malformed/],
    ["a negative extent", npy(header("'<f4'", "(-2,)"), new Uint8Array(8)), /malformed/],
    ["a missing key", npy("{'descr': '<f4', 'shape': (1,)}", new Uint8Array(4)), /malformed/],
    [
      "a key twice",
      npy("{'descr': '<f4', 'descr': '<f4', 'shape': (1,), 'fortran_order': False}", new Uint8Array(4)),
      /malformed/,
    ],
    ["another version", npy(header("'<f4'", "(1,)"), new Uint8Array(4), 4), /version 4/],
    ["another magic", new Uint8Array(80), /not an \.npy/],
    ["an empty file", new Uint8Array(0), /truncated/],
  ])("refuses %s", (_, file, message) => {
    expectError(() => readNpy(file, "x.npy"), "BAD_FILE", message);
  });

  it("answers mutated files with a consistent tensor or an EngineError", () => {
    const good = npy(header("'<f4'", "(2, 3)"), new Uint8Array(24));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }), (edits) => {
        const file = good.slice();
        for (const [at, byte] of edits) file[at] = byte;
        try {
          const { shape, bytes } = readNpy(file, "x.npy");
          expect(bytes.buffer).toBe(file.buffer);
          if (shape.every((extent) => extent > 0)) expect(bytes.length % shape.reduce((a, b) => a * b, 1)).toBe(0);
        } catch (error) {
          if (!(error instanceof EngineError)) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });
});
